"""Replay: a recorded transcript gives the same scene graph again, without a language model.

A transcript holds one prompt's plan: what was asked for, every call, and the hashes of calls and result. Each question
is answered by its content, so what cannot be found was asked by another version of the planner, and that is said.
Where the calls do not give the plan again (a planner without a language model has none, a plugin's are its own), the
transcript holds the plan itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from planners.contracts import Call, PlanResult, Progress, calls_sha256, check_prompts
from planners.dsg import UserError, one_line
from planners.dysen import DysenPlanner
from planners.engines import Capabilities, Message, Reply, Request
from planners.selection import selector

FORMAT: Literal["dysenvdm.transcript/1"] = "dysenvdm.transcript/1"


class Transcript(BaseModel):
    """What ``dysenvdm plan --transcript`` writes. ``planner`` is the one that planned; ``sha256`` that of the calls
    without their seconds, ``dsg_sha256`` that of the scene graph file, empty where there is none. ``result`` is the
    plan, without its calls, where they do not give it again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["dysenvdm.transcript/1"] = FORMAT
    prompt: str
    planner: str
    ticks: int
    seed: int
    imagine: bool
    strategy: str = "structure"
    window: bool = True
    sha256: str
    dsg_sha256: str
    calls: tuple[Call, ...]
    result: PlanResult | None = None

    @classmethod
    def of(cls, result: PlanResult, *, planner: str, ticks: int, seed: int) -> Transcript:
        """The transcript of a plan."""
        recorded = cls(
            prompt=result.prompt,
            planner=planner,
            ticks=ticks,
            seed=seed,
            imagine="polished" in result.stages,
            strategy=result.strategy,
            window=result.window,
            sha256=result.transcript_sha256,
            dsg_sha256=_dsg_sha256(result),
            calls=tuple(result.transcript),
        )
        try:
            recorded.replayed()
        except UserError:
            return recorded.model_copy(update={"result": result.model_copy(update={"transcript": []})})
        return recorded

    @classmethod
    def load(cls, path: str | os.PathLike[str], line: int | None = None) -> Transcript:
        """Read a transcript, or that of one ``line`` of a corpus from the file that ``plan --transcripts`` wrote.

        Raises :class:`UserError` where the file cannot be read, is of another version or was changed."""
        try:
            data = _read_json(Path(path)) if line is None else _read_line(Path(path), line)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: not valid JSON ({error})") from None
        if data is None:
            raise UserError(f"{path}: has no transcript of line {line}; give the number of a line that was planned")
        version = data.get("format") if isinstance(data, dict) else None
        if version != FORMAT:
            said = f"its format is {str(version)[:60]!r}" if version else "it has no format"
            raise UserError(f"{path}: not a transcript that can be replayed ({said}, not {FORMAT!r}); plan anew")
        try:
            transcript = cls.model_validate(data)
        except ValidationError as error:
            raise UserError(f"{path}: {one_line(error)}") from None
        try:
            found = calls_sha256(transcript.calls)
        except UnicodeEncodeError as error:
            raise UserError(f"{path}: holds half a character ({error}); plan anew") from None
        if found != transcript.sha256:
            raise UserError(f"{path}: its calls do not have the recorded SHA-256, so it was changed; plan anew")
        return transcript

    def to_json(self) -> str:
        """The file's text."""
        return self.model_dump_json(indent=1) + "\n"

    def replayed(self, where: str = "transcript") -> PlanResult:
        """The recorded plan, made anew from the calls where they give it; ``where`` names the transcript in errors.

        Raises :class:`UserError` where it is not the plan that was recorded."""
        if self.result is None:
            result = self._planned(where)
        else:
            result = self.result.model_copy(update={"transcript": list(self.calls)})
        if result.transcript_sha256 != self.sha256 or _dsg_sha256(result) != self.dsg_sha256:
            raise UserError(f"{where}: replayed, it gives another plan than recorded; plan anew")
        return result

    def _planned(self, where: str) -> PlanResult:
        if not self.calls:
            raise UserError(f"{where}: has neither a plan nor a call that would give one; plan anew")
        shown = any(m.role == "assistant" for call in self.calls if call.attempt == 0 for m in call.messages)
        planner = DysenPlanner(
            ReplayEngine(self, where),
            imagine=self.imagine,
            window=self.window,
            pool=None if shown else (),  # a tuned model is asked without worked examples
            selector=selector(self.strategy),
        )
        [result] = planner.plan([self.prompt], ticks=self.ticks, seed=self.seed)
        return result


class ReplayEngine:
    """An :class:`planners.engines.Engine` that answers from a transcript; ``where`` names it in errors.

    Questions that are asked alike get their replies in the recorded order.
    """

    capabilities = Capabilities(constrained=False, batched=True, seeded=True, local=True)

    def __init__(self, transcript: Transcript, where: str = "transcript") -> None:
        self.name = transcript.calls[0].engine if transcript.calls else "replay"
        self._where = where
        self._calls: defaultdict[tuple[tuple[Message, ...], int], deque[Call]] = defaultdict(deque)
        for call in transcript.calls:
            self._calls[call.messages, call.attempt].append(call)

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        """The recorded replies; raises :class:`UserError` for a request that the transcript does not have."""
        return [self._recorded(request) for request in requests]

    def _recorded(self, request: Request) -> Reply:
        calls = self._calls[request.messages, request.attempt]
        if not calls:
            raise UserError(
                f"{self._where}: has no answer to {request.messages[-1].content[:60]!r} (attempt {request.attempt}); "
                f"it was recorded by another version or with other options: plan anew"
            )
        call = calls.popleft()
        return Reply(
            # An empty thought, so that whatever the reply says is not taken for one.
            text=f"<think></think>{call.reply}" if "</think>" in call.reply else call.reply,
            thinking=call.thinking,
            finish_reason=call.finish_reason,
            prompt_tokens=call.prompt_tokens,
            completion_tokens=call.completion_tokens,
            seconds=call.seconds,
        )


class ReplayPlanner:
    """Plans one prompt by its transcript, or by that of one ``line`` of a corpus's transcripts.

    The seed decides nothing: it is the recorded one."""

    def __init__(self, transcript: str | os.PathLike[str], *, line: int | None = None) -> None:
        self.where = str(transcript) if line is None else f"{transcript} line {line}"
        self.transcript = Transcript.load(transcript, line)

    seed_matters = False

    def plan(
        self, prompts: Sequence[str], *, ticks: int, seed: int, on_progress: Progress | None = None
    ) -> list[PlanResult]:
        """See :class:`planners.contracts.Planner`; raises :class:`UserError` where the transcript has another prompt or
        number of ticks, or where this version of the planner makes another plan of it."""
        del seed
        check_prompts(prompts, ticks)
        for prompt in prompts:
            if prompt != self.transcript.prompt:
                raise UserError(f"{self.where}: is of the prompt {self.transcript.prompt!r}, not of {prompt[:60]!r}")
        if ticks != self.transcript.ticks:
            raise UserError(f"{self.where}: is of {self.transcript.ticks} ticks; add --ticks {self.transcript.ticks}")
        results = []
        for i, _ in enumerate(prompts):
            if on_progress:
                on_progress("replaying", i / len(prompts))
            results.append(self.transcript.replayed(self.where))
        if on_progress:
            on_progress("planned", 1.0)
        return results


def _read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _read_line(path: Path, number: int) -> Any:
    """What a corpus's transcripts say of an input line, None where they have nothing of it."""
    with path.open("rb") as file:
        for text in file:
            data = json.loads(text)
            if isinstance(data, dict) and data.pop("line", None) == number:
                return data
    return None


def _dsg_sha256(result: PlanResult) -> str:
    return hashlib.sha256(result.dsg.to_json().encode()).hexdigest() if result.stages else ""
