"""``python -m benchmarks.planners``: how often planners are right on captions of the Stage world.

The captions are those of held-out seeds, of ``--split`` or, with ``--events 1-8``, equally many of every number of
events, those that the split does not have from the held-out split ``more-events``. Planning is stages I and II; figures
are micro averages with their 95 % bootstrap intervals over prompts. ``--output`` keeps every prompt with its plan and
gold plan, to look at.

``--by events`` counts captions with one, two, ... events apart, ``--by style`` plain, rich and terse ones, ``--by
things`` those with an act on two things ("hands the ball to the girl"). ``--by phrasing`` does so by how a caption
tells its events: *single* has one, *chained* several one after the other and told in that order, *simultaneous* some at
the same time, *out of order* one told before another that happens first ("... after she waves", "before she sits,
..."). A caption may be both of the last two, and then counts in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.planning import Judged, contestants, judged, options_of, parser, print_table
from dysenvdm.metrics.bootstrap import cell
from planners.contracts import PlanResult
from planners.dsg import ActionPlan, UserError
from planners.scores import score

if TYPE_CHECKING:
    from dysenvdm.stage import StageClip

TICKS = 64
"""Of all plans; no caption's clip has more beats."""
FIGURES = ("right", "precision", "recall", "event F1", "order", "interval IoU")


def stage_clips(first: int, count: int, split: str = "val", numbers: Sequence[int] = ()) -> list[StageClip]:
    """Clips ``first`` on of a split, as long as their events take; ``numbers`` of events take turns if there are any.

    Numbers that the split does not have are those of ``more-events``. Raises UserError for a split that is not there.
    """
    from dysenvdm.stage import sample
    from dysenvdm.stage.compositions import SPLITS

    def clip(i: int) -> StageClip:
        if not numbers:
            return sample(first + i, split=split, frames=None, ticks=TICKS)
        events = numbers[i % len(numbers)]
        chosen = split if split not in SPLITS or events in SPLITS[split].events else "more-events"
        return sample(first + i, split=chosen, events=(events,), frames=None, ticks=TICKS)

    return [clip(i) for i in range(count)]


def stage_gold(first: int, count: int) -> list[ActionPlan]:
    """Gold plans of held-out Stage clips; a plan's ``prompt`` is the caption."""
    return [clip.plan for clip in stage_clips(first, count)]


def events(clip: StageClip) -> list[str]:
    """How many events a caption tells, as a group's name."""
    count = len(clip.script.acts)
    return [f"{count} event{'s' if count > 1 else ''}"]


GROUPINGS: dict[str, Callable[[StageClip], Sequence[str]]] = {
    "events": events,
    "phrasing": lambda clip: clip.tellings[0].phrasing,
    "style": lambda clip: [clip.tellings[0].style],
    "things": lambda clip: ["acts on two things" if any(act.thing for act in clip.script.acts) else "no such act"],
}


def numbers_of(text: str | None) -> Sequence[int]:
    """The numbers of "3" or "1-8"."""
    if text is None:
        return ()
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    numbers = range(int(found[1]), int(found[2] or found[1]) + 1) if found else range(0)
    if not numbers:
        raise UserError(f"--events {text}: give a number or a range, 3 or 1-8")
    return numbers


def judge(gold: Sequence[ActionPlan], i: int, result: PlanResult) -> dict[str, Any]:
    """The counts of one caption's plan, beside its gold plan."""
    return {**asdict(score(result.plan, gold[i])), "gold_plan": gold[i].model_dump(mode="json", exclude={"prompt"})}


def figures(lines: Judged) -> list[str]:
    """:data:`FIGURES` of some captions; see :func:`planners.scores.summary`."""
    wholes: list[Callable[[dict[str, Any]], tuple[float, float]]] = [
        lambda line: (line["right"], 1),
        lambda line: (line["matched"], line["planned"]),
        lambda line: (line["matched"], line["gold"]),
        lambda line: (2 * line["matched"], line["planned"] + line["gold"]),
        lambda line: (line["pairs_in_order"], line["pairs"]),
        lambda line: (line["overlap"], line["matched"]),
    ]
    return [cell([parts(line) for line in lines]) for parts in wholes]


def main() -> None:
    commands = parser("planners", __doc__, "smollm2")
    commands.add_argument("--first", type=int, default=6000, help="the first caption's number in the split")
    commands.add_argument("--prompts", type=int, default=40)
    commands.add_argument("--split", default="val", help="the split of the corpus that captions come from; val")
    commands.add_argument("--events", help="numbers of events that captions take turns in, such as 1-8")
    commands.add_argument("--by", choices=tuple(GROUPINGS), help="also a row for each group")
    with options_of(commands) as arguments:
        numbers = numbers_of(arguments.events)
        clips = stage_clips(arguments.first, arguments.prompts, arguments.split, numbers)
        gold = [clip.plan for clip in clips]
        rows = []
        for label, planner in contestants(arguments, imagine=False):
            prompts = [plan.prompt for plan in gold]
            lines = judged(arguments, label, planner, prompts, TICKS, partial(judge, gold))
            rows.append((label, str(len(lines)), *figures(lines)))
            groups: dict[str, Judged] = {}
            for clip, line in zip(clips, lines, strict=False) if arguments.by else ():
                for name in GROUPINGS[arguments.by](clip):
                    groups.setdefault(name, []).append(line)
            rows += [(f"  {name}", str(len(found)), *figures(found)) for name, found in sorted(groups.items())]
    seeds = f"Stage captions {arguments.first} to {arguments.first + arguments.prompts - 1} of {arguments.split}"
    print_table(f"{seeds}; 95 % bootstrap intervals over prompts", ("planner", "n", *FIGURES), rows)


if __name__ == "__main__":
    main()
