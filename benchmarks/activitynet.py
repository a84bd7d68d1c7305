"""``python -m benchmarks.activitynet``: are the events of a described video planned in its order, and at its times?

The file is one of ActivityNet Captions (``val_1.json``: per video its duration, sentences and their timestamps). Of the
videos whose sentences fit into a prompt some are drawn with seed 0, ``--videos`` of them. Their sentences, in order of
start, become a prompt in two ways:

- *joined*: as they stand, one after the other;
- *shuffled*: the telling begins with sentence k > 1, drawn with seed 0, goes back with "Before that, …" to the first
  and then on with "After all that, …" and "Then …", so that connectives alone tell the order, and tell all of it.

An event of the plan *belongs* to the one sentence that has all content words of its predicate and most of those of its
target, in base forms. An event whose words are in no sentence, or in two equally, belongs to none and is left out. A
sentence's planned interval reaches from its first event's start to its last one's end.

*Sentences*: the share of sentences that got an event. *Order*: Kendall's tau per video, over pairs of sentences with an
event and different gold starts, by planned start: +1 a pair in order, -1 one turned round, 0 one that starts together;
the mean over videos that have such a pair. *IoU*: intersection over union of planned and gold interval, the whole plan
being the whole video; over sentences with an event. The row *as told* is what a planner gets that ignores all
connectives: each sentence in turn, all equally long.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.motion_order import content_words
from benchmarks.planning import Judged, contestants, judged, options_of, parser, print_table
from dysenvdm.metrics.bootstrap import cell
from planners.contracts import MAX_PROMPT_CHARACTERS, PlanResult
from planners.dsg import ActionPlan, UserError

TICKS = 64
Interval = tuple[float, float]
"""Start and end as shares of the whole."""


@dataclass(frozen=True)
class Video:
    """Sentences in order of start, when they hold, and the order in which the prompt tells them."""

    sentences: tuple[str, ...]
    times: tuple[Interval, ...]
    told: tuple[int, ...]

    @property
    def prompt(self) -> str:
        return " ".join(_linked(self.told, i, self.sentences[number]) for i, number in enumerate(self.told))


def _linked(told: Sequence[int], i: int, sentence: str) -> str:
    """Sentence number ``told[i]`` with the words that say when it happens, seen from the one told before it."""
    if i == 0 or list(told) == sorted(told):
        return sentence
    later = "After all that," if told[i] > told[i - 1] + 1 else "Then"
    link = "Before that," if told[i] < told[i - 1] else later
    return f"{link} {sentence[0].lower()}{sentence[1:]}"


def load(path: Path, count: int, shuffled: bool) -> list[Video]:
    """``count`` videos drawn with seed 0; raises :class:`UserError` where the file is none of ActivityNet Captions."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        videos = [_video(row) for _, row in sorted(rows.items())]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a file of ActivityNet Captions ({error!r})") from None
    rng = Random(0)
    rng.shuffle(videos)
    turned = [Video(v.sentences, v.times, telling(len(v.sentences), rng)) for v in videos]
    fits = [max(len(a.prompt), len(b.prompt)) <= MAX_PROMPT_CHARACTERS for a, b in zip(videos, turned, strict=True)]
    return [video for video, fit in zip(turned if shuffled else videos, fits, strict=True) if fit][:count]


def _video(row: dict[str, Any]) -> Video:
    told = sorted(zip(row["timestamps"], (" ".join(text.split()) for text in row["sentences"]), strict=True))
    told = [(span, text) for span, text in told if content_words(text)]
    times = tuple((min(span) / row["duration"], min(1.0, max(span) / row["duration"])) for span, _ in told)
    return Video(tuple(text for _, text in told), times, tuple(range(len(told))))


def telling(count: int, rng: Random) -> tuple[int, ...]:
    """An order of telling: from some later sentence back to the first, then those that are left."""
    first = rng.randrange(1, count) if count > 1 else 0
    return (*range(first, -1, -1), *range(first + 1, count))


def owner(predicate: str, target: str, sentences: Sequence[str]) -> int | None:
    """The sentence that an event belongs to, None where there is no or no single one."""
    action, thing = content_words(predicate), content_words(target)
    if not action:
        return None
    words = [content_words(sentence) for sentence in sentences]
    fits = {i: len(thing & words[i]) for i in range(len(words)) if action <= words[i]}
    best = [i for i, count in fits.items() if count == max(fits.values())]
    return best[0] if len(best) == 1 else None


def planned(plan: ActionPlan, sentences: Sequence[str]) -> dict[int, Interval]:
    """The planned interval of each sentence that got an event."""
    labels = {thing.id: thing.label for thing in plan.objects}
    found: dict[int, Interval] = {}
    for event in plan.events:
        number = owner(event.predicate, labels[event.target] if event.target else "", sentences)
        if number is not None:
            start, end = event.start / plan.ticks, event.end / plan.ticks
            old = found.get(number, (start, end))
            found[number] = min(start, old[0]), max(end, old[1])
    return found


def as_told(video: Video) -> dict[int, Interval]:
    """Each sentence in the order of telling, all equally long."""
    n = len(video.told)
    return {number: (i / n, (i + 1) / n) for i, number in enumerate(video.told)}


def compare(found: dict[int, Interval], video: Video) -> dict[str, Any]:
    """One video's counts: sentences with an event, their summed IoU, and tau with the number of pairs it is over."""
    pairs = [(a, b) for a, b in combinations(sorted(found), 2) if video.times[a][0] < video.times[b][0]]
    agree = sum((found[a][0] < found[b][0]) - (found[a][0] > found[b][0]) for a, b in pairs)
    overlap = sum(iou(found[i], video.times[i]) for i in found)
    tau = agree / len(pairs) if pairs else None
    return {"sentences": len(video.sentences), "mapped": len(found), "iou": overlap, "pairs": len(pairs), "tau": tau}


def iou(a: Interval, b: Interval) -> float:
    """Intersection over union of two intervals."""
    both = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    whole = a[1] - a[0] + b[1] - b[0] - both
    return both / whole if whole > 0 else 0.0


def judge(videos: Sequence[Video], i: int, result: PlanResult) -> dict[str, Any]:
    """One video's counts, with how many of the plan's events belong to a sentence."""
    plan, video = result.plan, videos[i]
    found = planned(plan, video.sentences) if plan else {}
    labels = {thing.id: thing.label for thing in plan.objects} if plan else {}
    owners = [owner(e.predicate, labels.get(e.target or "", ""), video.sentences) for e in plan.events] if plan else []
    belong = sum(number is not None for number in owners)
    return {**compare(found, video), "has_plan": plan is not None, "events": len(owners), "belong": belong}


def main() -> None:
    commands = parser("activitynet", __doc__)
    commands.add_argument("--captions", type=Path, required=True, help="ActivityNet Captions' val_1.json")
    commands.add_argument("--videos", type=int, default=500)
    commands.add_argument("--telling", choices=("joined", "shuffled"), default="joined")
    with options_of(commands) as arguments:
        videos = load(arguments.captions, arguments.videos, arguments.telling == "shuffled")
        even = [compare(as_told(video), video) for video in videos[: arguments.limit]]
        rows = [("as told", str(len(even)), "-", "-", *_figures(even))]
        for label, planner in contestants(arguments, imagine=False):
            prompts = [video.prompt for video in videos]
            lines = judged(arguments, label, planner, prompts, TICKS, partial(judge, videos))
            plans = cell([(line["has_plan"], 1) for line in lines])
            events = cell([(line["belong"], line["events"]) for line in lines])
            rows.append((label, str(len(lines)), plans, events, *_figures(lines)))
    print_table(
        f"{arguments.captions.name}, {arguments.telling}; 95 % bootstrap intervals over videos",
        ("planner", "videos", "with a plan", "events that belong", "sentences", "videos with tau", "order", "IoU"),
        rows,
    )


def _figures(lines: Judged) -> tuple[str, str, str, str]:
    taus = [line["tau"] for line in lines if line["tau"] is not None]
    return (
        cell([(line["mapped"], line["sentences"]) for line in lines]),
        str(len(taus)),
        cell([(tau, 1) for tau in taus]),
        cell([(line["iou"], line["mapped"]) for line in lines]),
    )


if __name__ == "__main__":
    main()
