"""The examples that planners are tuned on: Stage captions, everyday sentences and hand-written demonstrations.

``python -m dysenvdm.studies.planner_corpus --texts 20000 --output corpus.jsonl.gz`` writes one question with its right
answer per line; the same arguments give the same questions. Stage captions are those of training seeds. Five
hand-written demonstrations are held out; validation has them, Stage captions of held-out seeds that no benchmark uses,
and sentences of other seeds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path
from random import Random

from dysenvdm.stage import VAL_SEED0, sample
from dysenvdm.studies.planner_sentences import sentence
from dysenvdm.studies.stage_demonstrations import demonstration
from planners.demonstrations import Demonstration, hand_written
from planners.dsg import UserError
from planners.engines import Message
from planners.gold_answers import Answered, answered
from planners.questions import instructions
from planners.scene_imagination import visual_words

HELD_OUT = ("A pilot checks", "On a beach, a knight", "A red kite", "A guard is yawning", "In a garden, a small dragon")
"""How the hand-written demonstrations begin that are not trained on."""
VALIDATION_FIRST = 10_000
"""Validation captions begin here behind the first held-out seed; the benchmarks' are below."""
STAGE, WRITTEN = 0.45, 0.04
"""Shares of Stage captions (unless told) and of hand-written demonstrations; the other texts are sentences."""
IMAGINED, ACTS = 0.3, 0.6
"""Shares of the texts whose imagination is asked for, and of the questions for a segment's action that are kept."""
CHUNK = 250


def _written(*, held_out: bool) -> list[Demonstration]:
    return [example for example in hand_written() if example.prompt.startswith(HELD_OUT) == held_out]


def text(number: int, seed: int, stage: float = STAGE) -> Demonstration | None:
    """The ``number``-th text of a corpus with a share ``stage`` of Stage captions; None where none came out right."""
    rng = Random(f"{seed}:{number}")
    source = rng.random()
    if source < WRITTEN:
        return rng.choice(_written(held_out=False))
    if source < WRITTEN + stage:
        clip = sample(rng.randrange(VAL_SEED0))
        found = demonstration(clip, rng.choice((clip.caption, *clip.captions)))
        return found and _with_flaw(found, rng)
    made = sentence(rng)
    return made and _with_flaw(made, rng)


def _with_flaw(example: Demonstration, rng: Random) -> Demonstration:
    """The example, often with a line for the polish to remove: whoever acts does not sleep, nor in two places."""
    agent = rng.choice(example.events).agent
    flaws = ("is asleep", "is frozen", "is broken", "in cage", "in box", "under table", "on roof", "on moon", "in fog")
    return example.model_copy(update={"flaw": f"{agent} {rng.choice(flaws)}"}) if rng.random() < 0.5 else example


def questions(numbers: Iterable[int], seed: int, stage: float = STAGE) -> list[Answered]:
    """The questions of some texts; texts that the planner would not read as they are meant are left out."""
    found = []
    for number in numbers:
        example = text(number, seed, stage)
        rng = Random(f"{seed}:{number}:questions")
        if example is not None:
            kept = _answered(example, imagine=rng.random() < IMAGINED)
            found += [item for item in kept if item.step != "act" or rng.random() < ACTS]
    return found


def _answered(example: Demonstration, *, imagine: bool) -> list[Answered]:
    try:
        return answered(example, visual_words(), imagine=imagine)
    except ValueError:
        return []


def corpus(texts: int, seed: int, workers: int = 1, stage: float = STAGE) -> Iterator[Answered]:
    """All questions of a corpus of ``texts`` texts, the same with any number of workers."""
    chunks = [range(first, min(first + CHUNK, texts)) for first in range(0, texts, CHUNK)]
    if workers == 1:
        for chunk in chunks:
            yield from questions(chunk, seed, stage)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for found in pool.map(partial(questions, seed=seed, stage=stage), chunks):
            yield from found


def validation(texts: int) -> dict[str, list[Answered]]:
    """Questions that are not trained on, by source: held-out Stage captions, sentences and demonstrations."""
    captions = (_caption(VAL_SEED0 + VALIDATION_FIRST + i) for i in count())
    sentences = (sentence(Random(f"validation:{i}")) for i in count())
    sources = {
        "stage": list(islice(filter(None, captions), texts)),
        "sentences": list(islice(filter(None, sentences), texts)),
        "written": _written(held_out=True),
    }
    return {
        name: [item for example in examples for item in _answered(example, imagine=name == "written")]
        for name, examples in sources.items()
    }


def _caption(seed: int) -> Demonstration | None:
    clip = sample(seed)
    return demonstration(clip, clip.caption)


def write(examples: Iterable[Answered], path: Path) -> int:
    """One ``{"step", "asked", "answer"}`` per line; returns how many."""
    lines = 0
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        for example in examples:
            lines += 1
            line = {"step": example.step, "asked": example.messages[-1].content, "answer": example.answer}
            file.write(f"{json.dumps(line, ensure_ascii=False)}\n".encode())
    return lines


def read(path: Path) -> list[Answered]:
    """What :func:`write` wrote; raises :class:`UserError` for anything else."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        return [Answered(line["step"], _asked(line["step"], line["asked"]), line["answer"]) for line in lines]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a corpus of planner questions ({error}); write it anew") from None


def _asked(step: str, question: str) -> tuple[Message, ...]:
    return Message(role="system", content=instructions(step)), Message(role="user", content=question)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m dysenvdm.studies.planner_corpus", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--texts", type=int, default=20_000, help="captions, sentences and demonstrations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="a .jsonl.gz file")
    arguments = parser.parse_args()
    lines = write(corpus(arguments.texts, arguments.seed, arguments.workers), arguments.output)
    sys.stdout.write(f"wrote {lines} questions to {arguments.output}\n")


if __name__ == "__main__":
    main()
