"""Replies kept by content: equal requests cost one call, in this run, in the next one and beside another one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from planners.demonstrations import demonstrations
from planners.dsg import UserError
from planners.dysen import DysenPlanner
from planners.engines import Message, Reply, Request
from planners.reply_cache import BATCH, CachedEngine
from planners.selection import RandomSelector

PROMPTS = [example.prompt for example in demonstrations()[:6]]


def request(text: str, **changes: Any) -> Request:
    said = {"messages": (Message(role="user", content=text),), "json_schema": {"type": "string"}, "max_tokens": 8}
    return Request.model_validate({**said, **changes})


class Echo:
    """Answers with the question; ``fails`` once so many batches were asked."""

    name = "echo"
    capabilities: Any = "those of echo"

    def __init__(self, make_reply: Callable[..., Reply], fails: int | None = None) -> None:
        self.make_reply, self.fails = make_reply, fails
        self.batches: list[list[str]] = []

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        if self.fails == len(self.batches):
            raise KeyboardInterrupt
        self.batches.append([request.messages[0].content for request in requests])
        return [self.make_reply(text) for text in self.batches[-1]]


def test_equal_requests_are_asked_once_and_survive_reopening(make_reply: Callable[..., Reply], tmp_path: Path) -> None:
    first, second = Echo(make_reply), Echo(make_reply)
    engine = CachedEngine(first, tmp_path / "new" / "replies.sqlite")
    assert (engine.name, engine.capabilities) == ("echo", "those of echo")
    replies = engine.generate([request("a"), request("b"), request("a")])
    assert [reply.text for reply in replies] == ["a", "b", "a"]
    again = CachedEngine(second, tmp_path / "new" / "replies.sqlite")
    assert again.generate([request("c"), request("a")])[1] == replies[0]
    assert (first.batches, second.batches) == ([["a", "b"]], [["c"]])
    assert (engine.asked, again.asked) == (2, 1)


def test_what_decides_a_reply_is_in_the_key(make_reply: Callable[..., Reply], tmp_path: Path) -> None:
    inner = Echo(make_reply)
    engine = CachedEngine(inner, tmp_path / "replies.sqlite")
    same = [request("a"), request("a", seed=7)]  # greedy: the seed decides nothing
    other = [
        request("a", max_tokens=9),
        request("a", json_schema={"type": "object"}),
        request("a", temperature=1.0),
        request("a", temperature=1.0, seed=7),
    ]
    engine.generate([*same, *other])
    assert engine.asked == 1 + len(other)
    inner.name = "another model"
    engine.generate(same)
    assert engine.asked == 2 + len(other)


def test_a_killed_run_keeps_its_whole_batches(make_reply: Callable[..., Reply], tmp_path: Path) -> None:
    requests = [request(str(i)) for i in range(2 * BATCH)]
    with pytest.raises(KeyboardInterrupt):
        CachedEngine(Echo(make_reply, fails=1), tmp_path / "replies.sqlite").generate(requests)
    rest = Echo(make_reply)
    replies = CachedEngine(rest, tmp_path / "replies.sqlite").generate(requests)
    assert [reply.text for reply in replies] == [str(i) for i in range(2 * BATCH)]
    assert rest.batches == [[str(i) for i in range(BATCH, 2 * BATCH)]]


def test_a_question_that_was_not_taken_is_asked_again(make_reply: Callable[..., Reply], tmp_path: Path) -> None:
    class Refusing(Echo):
        def generate(self, requests: Sequence[Request]) -> list[Reply]:
            return [reply.model_copy(update={"finish_reason": "refused"}) for reply in super().generate(requests)]

    CachedEngine(Refusing(make_reply), tmp_path / "replies.sqlite").generate([request("a")])
    engine = CachedEngine(Echo(make_reply), tmp_path / "replies.sqlite")
    assert engine.generate([request("a")])[0].finish_reason == "stop"
    assert engine.asked == 1


def test_a_planner_that_runs_again_asks_nothing(oracle: Callable[..., Any], tmp_path: Path) -> None:
    def plans(seed: int) -> tuple[list[Any], int]:
        engine = CachedEngine(oracle(), tmp_path / "replies.sqlite")
        found = DysenPlanner(engine, selector=RandomSelector()).plan(PROMPTS, ticks=6, seed=seed)
        return found, engine.asked

    (first, asked), (again, nothing), (_, more) = plans(0), plans(0), plans(1)
    assert again == first
    assert (asked > 0, nothing) == (True, 0)
    assert 0 < more < asked  # what imagination is asked does not depend on the draw


def test_a_file_that_is_no_cache_is_refused(make_reply: Callable[..., Reply], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, and long enough to be seen as none " * 20)
    with pytest.raises(UserError, match="text: not a usable reply cache"):
        CachedEngine(Echo(make_reply), tmp_path / "text")
    with pytest.raises(UserError, match="cannot be made"):
        CachedEngine(Echo(make_reply), tmp_path / "text" / "replies.sqlite")
    with sqlite3.connect(tmp_path / "other.sqlite") as database:
        database.execute("CREATE TABLE replies (something TEXT)")
    with pytest.raises(UserError, match="not a usable reply cache"):
        CachedEngine(Echo(make_reply), tmp_path / "other.sqlite").generate([request("a")])
