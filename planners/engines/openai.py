"""ChatGPT, or any server that speaks its protocol (vLLM, SGLang, llama.cpp, ...), through the ``openai`` library.

Requests of a batch run side by side. Every wait is bounded: a question has ``budget`` seconds for all its tries, and a
reply's body is read up to a limit only.
"""

from __future__ import annotations

import json
import logging
import os
import random
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from email.utils import parsedate_to_datetime
from functools import partial
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import openai
from pydantic import BaseModel, ValidationError

from planners.dsg import UserError
from planners.engines import Capabilities, Reply, Request, split_thinking
from planners.engines.canary import CANARY, canary
from planners.engines.chat_completions import Completion, Models, Usage, body, keywords, unwrapped, wraps

B = TypeVar("B", bound=BaseModel)
T = TypeVar("T")

OPENAI = "https://api.openai.com/v1"
MAX_REPLY_BYTES = 2**20
"""Longer bodies are refused: a plan's replies have some hundred bytes, with a model's thoughts some ten thousand."""
FIRST_TRIES = 4
"""So often an endpoint is tried that never answered: it may be starting, but more likely it is not there."""
RETRIED = frozenset((408, 409, 429))
"""HTTP statuses that another try may mend, beside 500 and above."""
ONE_QUESTION = frozenset((400, 413, 422, 500))
"""HTTP statuses that may be about one question alone."""
FAILURES = 5
"""So often in a row a question is answered with 500 before the canary is asked whether that is about this question."""
LIMITS = frozenset(("max_tokens", "max_completion_tokens"))
"""What servers call the reply's length: the first name is the common one, OpenAI's thinking models take the second."""
PARAMETERS = LIMITS | {"temperature", "seed"}
"""Parameters that are left out where a server refuses them."""

_log = logging.getLogger(__name__)


class OpenAIEngine:
    """An :class:`planners.engines.Engine` on a chat-completions endpoint.

    ``base_url`` is OPENAI_BASE_URL or OpenAI's own unless given; ``model`` may be left out where the endpoint serves
    one only. The key is read from OPENAI_API_KEY, and needed for OpenAI's own endpoint alone. ``budget`` is in seconds
    per question, with all tries and waits; ``thinking_tokens`` is what a thinking model may use beside its answer.
    ``clock`` and ``sleep`` measure and wait, in seconds.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        base_url: str | None = None,
        budget: float = 300.0,
        concurrency: int = 8,
        thinking_tokens: int = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint, local = _checked_url(base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI)
        self._key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not self._key and self.endpoint == OPENAI:
            raise UserError(
                "OPENAI_API_KEY: not set; set it to your key, or name another endpoint: --base-url http://HOST:PORT/v1"
            )
        for name, value in (("budget", budget), ("concurrency", concurrency)):
            if not 0 < value < float("inf"):
                raise UserError(f"{name}: {value:g}; give a number above 0")
        if thinking_tokens < 0:
            raise UserError(f"thinking_tokens: {thinking_tokens}; give 0 or more")
        self.model = model or ""
        self.budget, self.concurrency, self.thinking_tokens = budget, concurrency, thinking_tokens
        self.capabilities = Capabilities(constrained=True, batched=True, seeded=False, local=local)
        self._clock, self._sleep = clock, sleep
        self._client = openai.OpenAI(
            api_key=self._key or "none",
            base_url=self.endpoint,
            max_retries=0,
            default_headers={"Accept-Encoding": "identity"},
            # A local server is spoken to without a proxy, and no server may send a prompt on to another.
            http_client=openai.DefaultHttpxClient(
                event_hooks={"response": [_bound]}, follow_redirects=False, trust_env=not local
            ),
        )
        weakref.finalize(self, self._client.close)
        self._opening, self._learning = threading.RLock(), threading.Lock()
        self._opened = self._reached = False
        self._limit = "max_completion_tokens" if self.endpoint == OPENAI else "max_tokens"
        self._refused: set[str] = set()

    @property
    def name(self) -> str:
        """Model and protocol; where the server stands is for error messages only."""
        return f"{self.model or 'a model'} ({'openai' if self.endpoint == OPENAI else 'openai-compatible server'})"

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer all requests, ``concurrency`` at a time and in order; the first call sends the canary ahead.

        A question that the server does not take, or fails at again and again, though it still takes the canary, is
        "refused". Raises :class:`UserError` naming the endpoint where it is down, takes nothing, or answers with what
        is no reply.
        """
        self._open()
        began = time.perf_counter()
        stop = threading.Event()
        with ThreadPoolExecutor(max_workers=max(1, min(self.concurrency, len(requests)))) as pool:
            futures = [pool.submit(self._answer, request, stop) for request in requests]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        seconds = time.perf_counter() - began
        return [future.result().model_copy(update={"seconds": seconds}) for future in futures]

    def _open(self) -> None:
        """Once: find the model where none was named, and see that the endpoint holds to a schema."""
        with self._opening:
            if self._opened:
                return
            self.model = self.model or self._only_model()
            self._opened = True  # before it is proven, for the canary comes through generate()
            try:
                canary(self)
            except BaseException:
                self._opened = False
                raise

    def _only_model(self) -> str:
        try:
            served = self._patiently(self._served)
        except openai.APIStatusError as error:
            raise self._explained(error) from None
        if len(served) != 1:
            raise UserError(f"{self.endpoint}: name a model, --planner-option model=NAME; it serves {_listed(served)}")
        return served[0]

    def _served(self, seconds: float) -> list[str]:
        """The names of the endpoint's models."""
        listed = self._client.models.with_raw_response.list(timeout=seconds)
        return sorted(entry.id for entry in self._parsed(Models, listed, "a list of models").data)

    # -- one question ----------------------------------------------------------------------------------------------

    def _answer(self, request: Request, stop: threading.Event) -> Reply:
        failures = 0 if request is CANARY else FAILURES
        doubted = False
        while True:  # each round leaves out something more
            unnamed = LIMITS - {self._limit}
            sent = {"model": self.model, **body(request, self._refused | unnamed, self.thinking_tokens)}
            try:
                raw = self._patiently(partial(self._create, sent), stop, failures)
                break
            except openai.APIStatusError as error:
                if self._learn(error, sent):
                    continue
                if error.status_code != 500 or doubted:
                    return self._unanswered(request, error)
                doubted = True  # the server may have been in trouble itself: when it is well, once more
                canary(self)
        completion = self._parsed(Completion, raw, "a chat completion")
        message, reason = completion.choices[0].message, completion.choices[0].finish_reason
        usage = completion.usage or Usage()
        thinking, text = split_thinking(message.content or message.refusal or "")
        return Reply(
            text=unwrapped(text) if reason != "length" and wraps(request.json_schema) else text,
            finish_reason="length" if reason == "length" else "stop",
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            seconds=0.0,
            thinking=message.reasoning_content or message.reasoning or thinking,
        )

    def _unanswered(self, request: Request, error: openai.APIStatusError) -> Reply:
        """What stands for the answer to a question that the server does not take.

        Raises :class:`UserError` where it is not about this question: the server takes no other either.
        """
        too_long = _is_overflow(error)
        asked = error.status_code in ONE_QUESTION and not _is_about_money(error)
        if request is CANARY or not (too_long or asked):
            raise self._explained(error) from None
        if not too_long:
            canary(self)
        return Reply(
            text=f"{self.name}: {self._refusal(error)}",
            finish_reason="overflow" if too_long else "refused",
            prompt_tokens=0,
            completion_tokens=0,
            seconds=0.0,
        )

    def _create(self, sent: dict[str, Any], seconds: float) -> Any:
        timeout = openai.Timeout(seconds, connect=min(seconds, 10.0))
        return self._client.chat.completions.with_raw_response.create(**sent, timeout=timeout)

    def _learn(self, error: openai.APIStatusError, sent: dict[str, Any]) -> bool:
        """Whether the server refuses something that ``sent`` does well without; it is left out from now on."""
        said = f"{error.param or ''} {_said(error)}"
        if error.status_code not in (400, 422) or _is_overflow(error):
            return False
        words = set(re.findall(r"\w+", str(error.param) if error.param in PARAMETERS else said))
        if re.search("schema|response_format|grammar|regex", said, re.IGNORECASE):
            used = keywords(sent["response_format"]["json_schema"]["schema"])
            refused = (used & words) or used
        else:
            refused = words & PARAMETERS & sent.keys()
        with self._learning:
            if refused & LIMITS:
                [other] = LIMITS - refused
                if other in self._refused:
                    return False
                self._limit = other
            new = refused - self._refused
            self._refused = self._refused | new
        if new:
            _log.warning("%s: refuses %s; asked without from now on", self.endpoint, ", ".join(sorted(new)))
        return bool(refused)

    def _parsed(self, kind: type[B], raw: Any, what: str) -> B:
        try:
            return kind.model_validate_json(raw.http_response.content)
        except ValidationError:
            begin = self._quoted(raw.http_response.text)[:80]
            raise UserError(
                f"{self.endpoint}: answered with something else than {what} ({begin!r}); "
                f"is it the right address? It usually ends in /v1"
            ) from None

    # -- trying again, and giving up -------------------------------------------------------------------------------

    def _patiently(self, send: Callable[[float], T], stop: threading.Event | None = None, failures: int = 0) -> T:
        """What ``send(seconds)`` gives, tried again within the budget where that may help.

        Raises :class:`UserError` when the budget is spent, and openai.APIStatusError for what no other try mends, or
        after so many ``failures`` (500) in a row unless that is 0.
        """
        deadline = self._clock() + self.budget
        tries = failed = 0
        while True:
            tries += 1
            asked = 0.0
            try:
                answer = send(max(0.001, min(deadline - self._clock(), self.budget / 2)))
                self._reached = True
                return answer
            except _RefusedError as error:
                raise UserError(f"{self.endpoint}: {error}; is it the right address, and the right model?") from None
            except openai.APIStatusError as error:
                self._reached = True
                hopeful = error.status_code in RETRIED or error.status_code >= 500
                failed = failed + 1 if error.status_code == 500 else 0
                if not hopeful or _is_about_money(error) or (failures and failed == failures):
                    raise
                asked = _retry_after(error.response.headers.get("retry-after", ""))
                problem = f"{error.status_code}: {self._quoted(_said(error))}"
                mend = "try again later, or give it more time: --planner-option budget=SECONDS"
            except openai.APITimeoutError:
                problem = "no reply in time"
                mend = "is it overloaded? Give it more time: --planner-option budget=SECONDS"
            except openai.APIConnectionError as error:
                problem = f"no connection: {self._quoted(str(error.__cause__ or error))}"
                mend = "start the server, or mend the address: --base-url http://HOST:PORT/v1"
                if tries == FIRST_TRIES and not self._reached:
                    raise UserError(f"{self.endpoint}: {problem}; {mend}") from None
            delay = max(asked, min(0.25 * 2**tries, 10.0) * random.uniform(0.5, 1.0))
            if (stop and stop.is_set()) or self._clock() + delay >= deadline:
                wish = f", to be asked again in {asked:g} s" if asked else ""
                raise UserError(
                    f"{self.endpoint}: no answer within {self.budget:g} s ({tries} tries; {problem}{wish}); {mend}"
                )
            self._sleep(delay)

    def _explained(self, error: openai.APIStatusError) -> UserError:
        """The one line for an answer that no other try mends."""
        status, said = error.status_code, self._quoted(_said(error))
        if status in (401, 403):  # what it said is left out: some servers quote the key
            mend = "mend OPENAI_API_KEY" if self._key else "set OPENAI_API_KEY"
            return UserError(f"{self.endpoint}: {status}, the key is refused; {mend}")
        if _is_about_money(error):
            return UserError(f"{self.endpoint}: the account has no quota left ({said}); mend it or use a local server")
        if status == 404:
            return UserError(f"{self.endpoint}: 404 ({said}); {self._where_to_look()}")
        if status < 400:
            return UserError(f"{self.endpoint}: sends on to another address ({status}); name that one with --base-url")
        mend = "" if _is_overflow(error) else "; server and model must support response_format json_schema"
        return UserError(f"{self.endpoint}: {self._refusal(error)}{mend}")

    def _refusal(self, error: openai.APIStatusError) -> str:
        """Why the server does not take a question."""
        said = self._quoted(_said(error))
        if _is_overflow(error):
            return (
                f"too long for {self.model} ({said}{_numbers(error)}); "
                f"shorten the prompt, or serve the model with a longer context"
            )
        verb = "fails at" if error.status_code >= 500 else "refuses"
        return f"{error.status_code}, {verb} the request ({said})"

    def _where_to_look(self) -> str:
        """After a 404: the model's name or the address is wrong."""
        try:
            served = self._served(10.0)
        except (UserError, openai.OpenAIError, _RefusedError):
            return "is it the right address? It usually ends in /v1"
        return f"there is no model {self.model!r}; it serves {_listed(served)}; mend --planner-option model=NAME"

    def _quoted(self, text: str) -> str:
        """What a server said, as one short line without the key."""
        if self._key:
            text = text.replace(self._key, "***")
        return " ".join(text.split())[:300]


# -- bodies and errors ---------------------------------------------------------------------------------------------


class _RefusedError(Exception):
    """A body that is not read to its end."""


class _Bounded(httpx2.SyncByteStream):
    """A response's body, at most :data:`MAX_REPLY_BYTES` and ``seconds`` long."""

    def __init__(self, inner: httpx2.SyncByteStream, seconds: float) -> None:
        self.inner = inner
        self.deadline = time.monotonic() + seconds

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self.inner:
            size += len(chunk)
            if size > MAX_REPLY_BYTES:
                raise _RefusedError(f"its reply is longer than {MAX_REPLY_BYTES} bytes")
            if time.monotonic() > self.deadline:
                raise httpx2.ReadTimeout("the reply came too slowly")
            yield chunk

    def close(self) -> None:
        self.inner.close()


def _bound(response: httpx2.Response) -> None:
    """Bound what will be read of a response; one that is compressed could be of any size."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _RefusedError("its reply is compressed, though that was not asked for")
    assert isinstance(response.stream, httpx2.SyncByteStream)
    response.stream = _Bounded(response.stream, response.request.extensions["timeout"]["read"])


def _said(error: openai.APIStatusError) -> str:
    """The server's own words, wherever it puts them."""
    found = error.body
    if isinstance(found, dict):
        found = next((found[key] for key in ("message", "detail", "error") if found.get(key)), found)
    return found if isinstance(found, str) else json.dumps(found) if found else "no reason given"


def _is_overflow(error: openai.APIStatusError) -> bool:
    return error.code == "context_length_exceeded" or bool(
        re.search(r"context[ _](length|size|window)|n_ctx|maximum model length", _said(error))
    )


def _is_about_money(error: openai.APIStatusError) -> bool:
    return error.code == "insufficient_quota"


def _numbers(error: openai.APIStatusError) -> str:
    """Numbers that a server gives beside its words: ", n_ctx 512"."""
    found = error.body if isinstance(error.body, dict) else {}
    return "".join(f", {key} {value}" for key, value in found.items() if isinstance(value, int) and key != "code")


def _retry_after(header: str) -> float:
    """Seconds that a Retry-After header asks for, 0 where it says nothing."""
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return 0.0


def _listed(names: Sequence[str]) -> str:
    more = f", … ({len(names)} in all)" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more if names else "none"


def _checked_url(url: str) -> tuple[str, bool]:
    """A base URL without a slash at its end, and whether it is on this machine; raises :class:`UserError`."""
    url = url.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise UserError(f"base_url {url[:60]!r}: not the address of a server; write http://HOST:PORT/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UserError(f"base_url of {host}: holds more than an address; a key goes into OPENAI_API_KEY")
    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    return url, local
