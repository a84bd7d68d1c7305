"""The openai engine against a real HTTP server on this machine, which speaks the protocol and misbehaves on request."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from planners import builtin
from planners.contracts import PlanResult
from planners.demonstrations import demonstrations
from planners.dsg import UserError
from planners.dysen import DysenPlanner
from planners.engines import Message, Request
from planners.engines.canary import CANARY, WORDS
from planners.engines.chat_completions import KEYWORDS, unwrapped, wire_schema
from planners.engines.openai import FAILURES, FIRST_TRIES, MAX_REPLY_BYTES, OpenAIEngine

PROMPTS = [example.prompt for example in demonstrations()]
KEY = "sk-secret-0123456789"
Body = dict[str, Any]
HTTP = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


def completion(content: str, finish_reason: str = "stop", **message: Any) -> HTTP:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish_reason,
    }
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return as_json({"id": "c", "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage})


def as_json(data: Any, status: int = 200, **headers: str) -> HTTP:
    return status, {"content-type": "application/json", **headers}, json.dumps(data).encode()


def failure(status: int, message: str, *, code: str | None = None, param: str | None = None, **more: Any) -> HTTP:
    return as_json({"error": {"message": message, "type": "x", "code": code, "param": param, **more}}, status)


def is_canary(body: Body) -> bool:
    return bool(body["messages"][0]["content"] == CANARY.messages[0].content)


class ChatServer:
    """Answers POST /v1/chat/completions by ``answer(body)``, the canary rightly unless ``canary`` is set to something
    else, and GET /v1/models."""

    def __init__(self) -> None:
        self.answer: Callable[[Body], Any] = lambda body: completion('{"answer": "yes"}')
        self.canary: Callable[[Body], Any] = lambda body: completion(json.dumps({"answer": WORDS[1]}))
        self.models: HTTP = as_json({"object": "list", "data": [{"id": "tiny", "object": "model"}]})
        self.bodies: list[Body] = []
        self.canaries = 0
        self.keys: set[str | None] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(server.models)

            def do_POST(self) -> None:
                server.keys.add(self.headers["Authorization"])
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path != "/v1/chat/completions":
                    return self._send((404, {"content-type": "text/html"}, b"<html>no such page</html>"))
                if is_canary(body):
                    server.canaries += 1
                    return self._send(server.canary(body))
                server.bodies.append(body)
                return self._send(server.answer(body))

            def _send(self, answer: Any) -> None:
                if callable(answer):
                    return answer(self)
                status, headers, content = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                try:
                    self.wfile.write(content)
                except (BrokenPipeError, ConnectionResetError):  # the engine reads up to its limit only
                    self.close_connection = True
                return None

            def log_message(self, *arguments: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class Clock:
    """A clock that only :meth:`sleep` moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    made = ChatServer()
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(server: ChatServer, clock: Clock) -> OpenAIEngine:
    return OpenAIEngine("tiny", base_url=server.base_url, clock=clock, sleep=clock.sleep)


def request(text: str = "Well?", schema: Body | None = None, **fields: Any) -> Request:
    schema = {"enum": ["yes", "no"]} if schema is None else schema
    messages = (Message(role="system", content="Say."), Message(role="user", content=text))
    return Request(messages=messages, json_schema=schema, max_tokens=32, **fields)


def by_oracle(oracle: Any) -> Callable[[Body], HTTP]:
    """Answers as the oracle does, through a constraint: the reply fits the schema that came."""

    def answer(body: Body) -> HTTP:
        schema = body["response_format"]["json_schema"]["schema"]
        check_strict(schema)
        jsonschema.Draft202012Validator.check_schema(schema)
        messages = tuple(Message(**message) for message in body["messages"])
        wraps = schema["properties"].keys() == {"answer"}
        shown = [message.content for message in messages[:-2] if message.role == "assistant"]
        assert all((json.loads(text).keys() == {"answer"}) == wraps for text in shown)
        [reply] = oracle.generate([Request(messages=messages, json_schema=schema, max_tokens=body["max_tokens"])])
        value = {"answer": json.loads(reply.text)} if wraps else json.loads(reply.text)
        jsonschema.validate(value, schema)
        return completion(json.dumps(value))

    return answer


def check_strict(schema: Any, root: bool = True) -> None:
    """What OpenAI's strict mode demands."""
    if isinstance(schema, list):
        for part in schema:
            check_strict(part, root=False)
    if not isinstance(schema, dict):
        return
    if root or schema.get("type") == "object":
        assert schema["type"] == "object"
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
    if "enum" in schema:
        assert schema["enum"]
        assert isinstance(schema["type"], str)
    for part in schema.values():
        check_strict(part, root=False)


def said(result: PlanResult) -> list[tuple[Any, ...]]:
    return [(call.step, call.attempt, call.messages, call.reply, call.error) for call in result.transcript]


# -- plans -------------------------------------------------------------------------------------------------------------


def test_whole_plans_through_http_equal_the_oracles(server, engine, oracle) -> None:
    server.answer = by_oracle(oracle())
    mine = DysenPlanner(engine).plan(PROMPTS[::3], ticks=6, seed=3)
    right = DysenPlanner(oracle()).plan(PROMPTS[::3], ticks=6, seed=3)
    for a, b in zip(mine, right, strict=True):
        assert (a.plan, a.stages, a.degraded, said(a)) == (b.plan, b.stages, b.degraded, said(b))
        assert {(call.engine, call.prompt_tokens, call.completion_tokens) for call in a.transcript} == {
            ("tiny (openai-compatible server)", 11, 7)
        }
        assert all(call.seconds > 0 for call in a.transcript)
    assert server.canaries == 1
    assert {body["seed"] for body in server.bodies} == {3}
    assert {(body["model"], body["temperature"]) for body in server.bodies} == {("tiny", 0.0)}


def test_prose_cut_text_and_invented_keys_are_asked_again_with_the_error(server, engine, oracle) -> None:
    right = by_oracle(oracle())
    bad = {
        "split": completion("Sure! Here is your text."),
        "act": completion('{"answer": "the gir', "length"),
        "imagine": completion('{"add": [], "evil": 1}'),
    }
    instructions = {"Repeat the text and put": "split", "Put [ ] around the verb": "act", "Imagine": "imagine"}

    def answer(body: Body) -> HTTP:
        first = body["messages"][0]["content"]
        step = next((step for begin, step in instructions.items() if first.startswith(begin)), "")
        return bad.pop(step) if step in bad else right(body)

    server.answer = answer
    [result] = DysenPlanner(engine).plan(PROMPTS[:1], ticks=6, seed=0)
    assert result.degraded is None
    assert result.stages == DysenPlanner(oracle()).plan(PROMPTS[:1], ticks=6, seed=0)[0].stages
    errors = [call.error for call in result.transcript if call.error]
    assert errors == [
        "the reply is not JSON (Expecting value: line 1 column 1 (char 0))",
        "the reply was cut off after 7 tokens",
        "nobody asked for 'evil'",
    ]


def test_the_command_line_plans_over_http_and_replays(server, oracle, tmp_path: Path, capsys) -> None:
    from dysenvdm.cli.main import main

    server.answer = by_oracle(oracle())
    plan, again, kept = (tmp_path / name for name in ("plan.json", "again.json", "kept.json"))
    local = ["--planner", "openai", "--base-url", server.base_url, "--transcript", str(kept)]
    recorded = ["--planner", "replay", "--planner-option", f"transcript={kept}"]
    for output, options in ((plan, local), (again, recorded)):
        with pytest.raises(SystemExit) as end:
            main(["plan", PROMPTS[0], "-o", str(output), *options])
        assert not end.value.code, capsys.readouterr().err
    assert plan.read_bytes() == again.read_bytes()
    assert server.base_url not in kept.read_text()


# -- batches -----------------------------------------------------------------------------------------------------------


def test_a_batch_runs_side_by_side_and_keeps_its_order(server, engine) -> None:
    everyone = threading.Barrier(engine.concurrency)

    def answer(body: Body) -> HTTP:
        everyone.wait(timeout=20)
        asked = body["messages"][-1]["content"]
        time.sleep(0.01 * (int(asked) % 3))
        return completion(json.dumps({"answer": asked}))

    server.answer = answer
    numbers = [str(i) for i in range(4 * engine.concurrency)]
    replies = engine.generate([request(number, {"enum": numbers}) for number in numbers])
    assert [json.loads(reply.text) for reply in replies] == numbers
    assert len({reply.seconds for reply in replies}) == 1


def test_one_failure_ends_the_batch(server, engine) -> None:
    server.answer = lambda body: failure(401, "nonsense")
    with pytest.raises(UserError, match="401, the key is refused"):
        engine.generate([request() for _ in range(200)])
    assert len(server.bodies) < 200


# -- trying again ------------------------------------------------------------------------------------------------------


def test_429_is_waited_for_as_long_as_it_asks(server, engine, clock) -> None:
    answers = iter(
        [
            as_json({"error": {"message": "slow down"}}, 429, retry_after="7"),
            failure(503, ""),
            completion('{"answer": 1}'),
        ]
    )
    server.answer = lambda body: next(answers)
    [reply] = engine.generate([request()])
    assert reply.text == "1"
    assert clock.slept[0] == 7
    assert 0 < clock.slept[1] <= 1


@pytest.mark.parametrize("status", [503, 429])
def test_failing_until_the_budget_is_spent_is_one_line(server, engine, clock, status: int) -> None:
    engine.budget = 90
    server.answer = lambda body: failure(status, "out\nof soup")
    with pytest.raises(UserError) as caught:
        engine.generate([request()])
    line = str(caught.value)
    assert line.startswith(f"{server.base_url}: no answer within 90 s (")
    assert f"{status}: out of soup" in line
    assert "--planner-option budget=SECONDS" in line
    assert 60 < sum(clock.slept) <= 90
    assert len(server.bodies) == len(clock.slept) + 1 < 30
    assert all(later < 10.1 for later in clock.slept)


def test_a_question_that_the_server_fails_at_is_left_after_some_tries(server, engine, clock) -> None:
    """A caption in a million breaks a server's parser each time; the run must get past it."""
    server.answer = lambda body: (
        failure(500, "parser bug") if "bad" in body["messages"][-1]["content"] else completion('{"answer": "yes"}')
    )
    replies = engine.generate([request(text) for text in ("one", "bad", "two")])
    assert [reply.finish_reason for reply in replies] == ["stop", "refused", "stop"]
    assert "500, fails at the request (parser bug)" in replies[1].text
    assert [body["messages"][-1]["content"] for body in server.bodies].count("bad") == 2 * FAILURES
    assert sum(clock.slept) < 30


def test_a_server_in_trouble_is_waited_for_and_the_question_asked_once_more(server, engine, clock) -> None:
    engine.generate([request()])

    def troubled(well: HTTP) -> Callable[[Body], HTTP]:
        return lambda body: well if clock.now > 100 else failure(500, "reloading")

    server.answer, server.canary = (
        troubled(completion('{"answer": "yes"}')),
        troubled(completion(json.dumps({"answer": WORDS[0]}))),
    )
    [reply] = engine.generate([request()])
    assert (reply.finish_reason, reply.text) == ("stop", '"yes"')


def test_a_server_in_trouble_for_too_long_ends_the_batch(server, engine, clock) -> None:
    engine.generate([request()])
    server.answer = server.canary = lambda body: failure(500, "out of soup")
    with pytest.raises(UserError, match=rf"^{server.base_url}: no answer within 300 s .*500: out of soup"):
        engine.generate([request()])
    assert 250 < sum(clock.slept) <= 330


def test_a_wait_beyond_the_budget_is_not_begun(server, engine, clock) -> None:
    server.answer = lambda body: as_json({"error": {"message": "tomorrow"}}, 429, retry_after="86400")
    with pytest.raises(UserError, match=r"1 tries; 429: tomorrow, to be asked again in 86400 s"):
        engine.generate([request()])
    assert clock.slept == []


def test_an_endpoint_that_is_down_is_named_soon(clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    engine = OpenAIEngine("tiny", base_url=url, clock=clock, sleep=clock.sleep)
    with pytest.raises(UserError, match=rf"{url}: no connection: .*refused.*; start the server, or mend the address"):
        engine.generate([request()])
    assert len(clock.slept) == FIRST_TRIES - 1
    assert sum(clock.slept) < 5


def test_a_server_that_drips_or_hangs_is_left_in_time(server) -> None:
    def drip(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.close_connection = True
        for _ in range(100):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.05)

    engine = OpenAIEngine("tiny", base_url=server.base_url, budget=0.8)
    for answer in (lambda body: drip, lambda body: lambda handler: time.sleep(2)):
        server.answer = answer
        engine.budget = 20  # for the canary
        engine._open()
        engine.budget = 0.8
        began = time.monotonic()
        with pytest.raises(UserError, match=r"no answer within 0.8 s .*no reply in time"):
            engine.generate([request()])
        assert time.monotonic() - began < 15


# -- what a user can mend ----------------------------------------------------------------------------------------------

TOO_LONG = "This model's maximum context length is 512 tokens. However, you requested 700 tokens"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (failure(401, f"Incorrect API key provided: {KEY}"), "401, the key is refused; mend OPENAI_API_KEY"),
        (failure(403, f"{KEY} may not"), "403, the key is refused"),
        (failure(404, "no such model"), "404 (no such model); there is no model 'tiny'; it serves tiny"),
        (failure(429, "pay first", code="insufficient_quota"), "no quota left (pay first)"),
        (as_json({"detail": "Not here"}, 405), "405, refuses the request (Not here)"),
        ((404, {"content-type": "text/html"}, b"<html>no page</html>"), "404 (<html>no page</html>)"),
        ((200, {"content-type": "text/html"}, b"<html>welcome</html>"), "something else than a chat completion"),
        ((200, {"content-type": "text/plain"}, b"Hello there"), "('Hello there'); is it the right address?"),
        (as_json([]), "something else than a chat completion"),
        (as_json({"choices": []}), "something else than a chat completion"),
        ((200, {"content-type": "application/json"}, b'{"choices": [{"mess'), "something else than a chat completion"),
        (completion("x" * 10_000_000), f"longer than {MAX_REPLY_BYTES} bytes"),
        (failure(400, "x" * 10_000_000), f"longer than {MAX_REPLY_BYTES} bytes"),
        ((200, {"content-encoding": "gzip"}, b"\x1f\x8b"), "compressed"),
        ((307, {"location": "http://192.0.2.1/v1"}, b""), "sends on to another address (307)"),
    ],
)
def test_what_a_user_can_mend_is_one_line_without_the_key(
    server, clock, monkeypatch: pytest.MonkeyPatch, answer: HTTP, words: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    engine = OpenAIEngine("tiny", base_url=server.base_url, clock=clock, sleep=clock.sleep)
    server.answer = lambda body: answer
    with pytest.raises(UserError) as caught:
        engine.generate([request()])
    line = str(caught.value)
    assert line.startswith(f"{server.base_url}: ")
    assert words in line
    assert KEY not in line
    assert "\n" not in line
    assert len(line) < 700
    assert caught.value.__cause__ is None
    assert (clock.slept, len(server.bodies), server.keys) == ([], 1, {f"Bearer {KEY}"})


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (failure(400, TOO_LONG), "overflow", f"too long for tiny ({TOO_LONG}); shorten the prompt"),
        (
            failure(400, "exceeds the available context size", n_ctx=512, n_prompt_tokens=700),
            "overflow",
            "n_ctx 512, n_prompt",
        ),
        (failure(400, f"what is {KEY}?"), "refused", "400, refuses the request (what is ***?)"),
        (failure(400, "flagged by our filter", code="content_filter"), "refused", "flagged by our filter"),
        (failure(413, "too big"), "refused", "413, refuses the request (too big)"),
    ],
)
def test_a_question_that_the_server_does_not_take_fails_alone(
    server, engine, monkeypatch: pytest.MonkeyPatch, answer: HTTP, reason: str, words: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    engine = OpenAIEngine("tiny", base_url=server.base_url)
    server.answer = lambda body: answer if "bad" in body["messages"][-1]["content"] else completion('{"answer": "yes"}')
    replies = engine.generate([request(text) for text in ("one", "bad", "two", "bad", "three")])
    assert [reply.finish_reason for reply in replies] == ["stop", reason, "stop", reason, "stop"]
    assert [reply.text for reply in replies[::2]] == ['"yes"'] * 3
    line = replies[1].text
    assert line.startswith("tiny (openai-compatible server): ")
    assert words in line
    assert KEY not in line
    assert server.base_url not in line
    assert len(line) < 700


def test_a_refusal_of_everything_ends_the_batch(server, engine) -> None:
    """Some services answer 400 where the account is empty: then the canary is refused too."""
    engine.generate([request()])
    server.answer = server.canary = lambda body: failure(400, "your balance is too low")
    with pytest.raises(UserError, match=rf"^{server.base_url}: 400, refuses the request \(your balance is too low\)"):
        engine.generate([request() for _ in range(200)])
    assert len(server.bodies) < 200


def test_a_prompt_that_the_server_does_not_take_is_asked_once_and_the_others_are_planned(
    server, engine, oracle
) -> None:
    right, bad = by_oracle(oracle()), PROMPTS[1]
    server.answer = lambda body: failure(400, TOO_LONG) if bad in body["messages"][-1]["content"] else right(body)
    good, failed, other = DysenPlanner(engine).plan(PROMPTS[:3], ticks=6, seed=0)
    assert (good.degraded, other.degraded) == (None, None)
    assert failed.plan is None
    assert f"step 'split' failed 1 times: tiny (openai-compatible server): too long for tiny ({TOO_LONG}" in str(
        failed.degraded
    )


def test_without_a_key_openai_is_not_asked_and_a_local_server_is(server, engine) -> None:
    with pytest.raises(UserError, match=r"OPENAI_API_KEY: not set; .*--base-url"):
        OpenAIEngine("tiny")
    server.answer = lambda body: failure(401, "who are you?")
    with pytest.raises(UserError, match="set OPENAI_API_KEY"):
        engine.generate([request()])


def test_the_key_is_nowhere_in_a_plan(server, oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.answer = by_oracle(oracle())
    [result] = builtin.openai("tiny", base_url=server.base_url).plan(PROMPTS[:1], ticks=6, seed=0)
    assert server.keys == {f"Bearer {KEY}"}
    assert KEY not in result.model_dump_json()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000", "write http://HOST:PORT/v1"),
        ("ftp://here/v1", "write http://HOST:PORT/v1"),
        ("http://", "write http://HOST:PORT/v1"),
        ("http://[::1", "write http://HOST:PORT/v1"),
        (f"http://me:{KEY}@here/v1", "base_url of here: holds more than an address"),
        (f"http://here/v1?key={KEY}", "base_url of here: holds more than an address"),
    ],
)
def test_a_wrong_address_is_refused(url: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        OpenAIEngine("tiny", base_url=url)
    assert words in str(caught.value)
    assert KEY not in str(caught.value)


def test_what_an_engine_states(server, engine) -> None:
    assert engine.capabilities.local
    assert engine.capabilities.constrained
    assert not engine.capabilities.seeded
    assert not OpenAIEngine("tiny", base_url="https://192.0.2.1/v1").capabilities.local
    for options in ({"budget": 0.0}, {"concurrency": 0}, {"thinking_tokens": -1}, {"budget": float("nan")}):
        with pytest.raises(UserError, match=next(iter(options))):
            OpenAIEngine("tiny", base_url=server.base_url, **options)


def test_a_local_server_is_spoken_to_without_a_proxy(server, engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    monkeypatch.setenv("ALL_PROXY", "http://192.0.2.1:3128")
    [reply] = OpenAIEngine("tiny", base_url=server.base_url).generate([request()])
    assert reply.text == '"yes"'


def test_the_library_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"run: pip install 'dysenvdm\[openai\]'"):
        builtin.openai()


# -- models and the canary ---------------------------------------------------------------------------------------------


def test_the_only_model_is_taken_and_several_are_listed(server) -> None:
    engine = OpenAIEngine(base_url=server.base_url)
    engine.generate([request()])
    assert engine.name == "tiny (openai-compatible server)"
    server.models = as_json({"data": [{"id": f"m{i:02d}"} for i in range(12)]})
    with pytest.raises(
        UserError, match=r"name a model, --planner-option model=NAME; it serves m00, .*m09, … \(12 in all"
    ):
        OpenAIEngine(base_url=server.base_url).generate([request()])
    server.models = (200, {}, b"<html>")
    with pytest.raises(UserError, match="something else than a list of models"):
        OpenAIEngine(base_url=server.base_url).generate([request()])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            completion("Roses are red,\nviolets are blue"),
            r"asked for one of two words it said 'Roses are red,\nviolets",
        ),
        (completion('{"answer": "a poem"}'), "asked for one of two words"),
        (completion("The sea, the se", "length"), "cut off after 7 tokens"),
        (completion('{"poem": "vexil-41"}'), "asked for one of two words"),
    ],
)
def test_an_ignored_schema_is_found_out_before_anything_is_planned(server, engine, answer: HTTP, words: str) -> None:
    server.canary = lambda body: answer
    for _ in range(2):  # no plan is made the second time either
        with pytest.raises(UserError) as caught:
            engine.generate([request()])
        assert words in str(caught.value)
        assert "does not hold its replies to a JSON schema" in str(caught.value)
    assert server.bodies == []


def test_the_canary_is_sent_once_also_where_many_ask_at_once(server, engine) -> None:
    threads = [threading.Thread(target=engine.generate, args=([request()],)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (server.canaries, len(server.bodies)) == (1, 6)


# -- what a server cannot take -----------------------------------------------------------------------------------------


def picky(*refused: str) -> Callable[[Body], HTTP]:
    """A server that knows neither these parameters nor these schema keywords."""

    def answer(body: Body) -> HTTP:
        schema = json.dumps(body["response_format"]["json_schema"]["schema"])
        for name in refused:
            if name in body:
                return failure(400, f"Unsupported parameter: '{name}' is not supported.", param=name)
            if f'"{name}"' in schema:
                return failure(400, f"Invalid schema: '{name}' is not permitted.", param="response_format")
        return completion('{"answer": "yes"}')

    return answer


PATTERN = {"type": "string", "pattern": "^yes$"}


def test_what_a_server_refuses_is_left_out_from_then_on_and_said_once(server, engine, caplog) -> None:
    server.answer = picky("max_tokens", "temperature", "seed", "pattern")
    with caplog.at_level(logging.WARNING):
        engine.generate([request(schema=PATTERN)])
        engine.generate([request(schema=PATTERN) for _ in range(5)])
    last = server.bodies[-1]
    assert not last.keys() & {"max_tokens", "temperature", "seed"}
    assert last["max_completion_tokens"] > 32
    assert "pattern" not in json.dumps(last["response_format"])
    assert len(server.bodies) == 4 + 6
    lines = [record.getMessage() for record in caplog.records if record.name == "planners.engines.openai"]
    assert [line.split("refuses ")[1].split(";")[0] for line in lines] == [
        "max_tokens",
        "temperature",
        "seed",
        "pattern",
    ]


def test_a_schema_refused_without_a_reason_loses_its_optional_keywords_together(server, engine) -> None:
    schema = {
        "type": "object",
        "properties": {"add": {"type": "array", "items": PATTERN, "minItems": 1, "maxItems": 2}},
    }

    def answer(body: Body) -> HTTP:
        if "pattern" in json.dumps(body["response_format"]):
            return as_json({"error": "invalid JSON schema in format"}, 400)
        return completion('{"add": ["yes"]}')

    server.answer = answer
    assert engine.generate([request(schema=schema)])[0].text == '{"add": ["yes"]}'
    assert not KEYWORDS & set(json.dumps(server.bodies[-1]).split('"'))


def test_a_server_that_takes_no_schema_or_no_length_is_refused(server, engine) -> None:
    server.canary = lambda body: failure(400, "response_format type json_schema is not supported")
    with pytest.raises(UserError, match="must support response_format json_schema"):
        engine.generate([request()])
    server.canary = picky("max_tokens", "max_completion_tokens")
    with pytest.raises(UserError, match="max_completion_tokens"):
        engine.generate([request()])


# -- replies -----------------------------------------------------------------------------------------------------------


def test_length_is_passed_on_and_thoughts_are_kept_apart(server, engine) -> None:
    answers = iter(
        [
            completion('{"answer": "ye', "length"),
            completion('<think>\nHm, yes.\n</think>\n{"answer": "yes"}'),
            completion('{"answer": "yes"}', reasoning_content="Hm, yes."),
            completion(None, "stop", refusal="I would rather not."),  # type: ignore[arg-type]
            as_json({"choices": [{"message": {"content": '{"answer": "yes"}'}}], "usage": None}),
        ]
    )
    server.answer = lambda body: next(answers)
    replies = [engine.generate([request()])[0] for _ in range(5)]
    assert [(reply.text, reply.finish_reason, reply.thinking) for reply in replies] == [
        ('{"answer": "ye', "length", ""),
        ('"yes"', "stop", "Hm, yes."),
        ('"yes"', "stop", "Hm, yes."),
        ("I would rather not.", "stop", ""),
        ('"yes"', "stop", ""),
    ]
    assert (replies[0].prompt_tokens, replies[0].completion_tokens) == (11, 7)
    assert (replies[4].prompt_tokens, replies[4].completion_tokens) == (0, 0)


def test_a_thinking_model_gets_room(server) -> None:
    OpenAIEngine("tiny", base_url=server.base_url, thinking_tokens=1000).generate([request()])
    assert 1032 <= server.bodies[0]["max_tokens"] < 1100


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"answer": "a / b"}', '"a / b"'),
        ('{"answer": {"b": [1]}}', '{"b": [1]}'),
        ('{"answer": 1, "more": 2}', '{"answer": 1, "more": 2}'),
        ("[1]", "[1]"),
        ('{"answer": "ye', '{"answer": "ye'),
        ("[" * 100_000, "[" * 100_000),
        ('{"answer": "\\ud800"}', '{"answer": "\\ud800"}'),
        ("", ""),
    ],
)
def test_unwrapping_takes_the_answer_or_leaves_the_text(text: str, answer: str) -> None:
    assert unwrapped(text) == answer


def test_the_schema_on_the_wire() -> None:
    text = {"type": "string", "pattern": r"^a\ t\-shirt\.$"}
    wire = wire_schema(text)
    assert wire["properties"]["answer"]["pattern"] == r"^a t-shirt\.$"
    assert wire_schema(text, {"pattern"})["properties"]["answer"] == {"type": "string"}
    whole = {
        "type": "object",
        "properties": {"remove": {"type": "array", "items": {"enum": []}, "maxItems": 0}, "n": {"enum": [1, 2]}},
        "required": ["remove", "n"],
        "additionalProperties": False,
    }
    made = wire_schema(whole)
    check_strict(made)
    assert made["properties"]["n"] == {"enum": [1, 2], "type": "integer"}
    assert made["properties"]["remove"]["items"] == {"type": "string"}
