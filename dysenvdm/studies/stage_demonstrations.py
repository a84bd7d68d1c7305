"""Demonstrations for planner LLMs out of the Stage world: captions with the marks that make their gold plans.

``python -m dysenvdm.studies.stage_demonstrations FILE.json`` writes a pool of them. The captions are those of training
seeds. A demonstration is kept only if its marks give exactly the gold plan, so all are right by construction, and only
if it shows something that those before it do not. The pool that ships, ``planners/stage_demonstrations.json``, was
written from version 1 of the corpus and stays as it is, since the planners' figures rest on it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import count, product
from pathlib import Path

from dysenvdm.stage import StageClip, sample
from dysenvdm.stage.world import SETTINGS, WEATHERS
from planners.action_planning import LINKS, Clause, Mention, Retelling, name_question, parsed, plain_name, retold
from planners.demonstrations import DemonstratedEvent, Demonstration
from planners.dsg import ActionPlan
from planners.dysen import demonstrated
from planners.language import words_of
from planners.plan_assembly import Action, Cast, build_plan, cast_actions, phrases, retellings
from planners.scene_imagination import MAX_ADDED
from planners.scores import score

WANTED = 60
_LEADS = (
    "and at the same time", "and then", "and finally", "and meanwhile", "after that", "before that", "in the end",
    "then", "next", "finally", "lastly", "afterwards", "before", "only after", "after", "while", "as",
)  # fmt: skip
_SAID = {**LINKS, "before that": "after"}
"""What a caption's own links mean: all that the planner retells with, and one that looks back."""
_MEANINGS = ("then", "before", "after", "while")


def demonstration(clip: StageClip, caption: str) -> Demonstration | None:
    """The caption with its marks; None where the planner's grammar cannot express its gold plan."""
    telling = next(telling for telling in clip.tellings if telling.text == caption)
    if telling.beyond:
        return None
    verbs = [" ".join(words_of(caption[slice(*span)])) for span in telling.verbs]
    labels = [thing.label for thing in clip.dsg.objects]
    marked = [_marked_clause(segment, verbs) for segment in _segments(caption, clip)]
    clauses = [parsed(text) for text in marked]
    names: dict[tuple[str, ...], str] = {}
    mentions: dict[tuple[str, ...], tuple[Mention, ...]] = {}
    for phrase in phrases(clauses):
        known = plain_name(phrase)
        if known is None:
            names[phrase] = _marked_name(phrase, labels)
            try:
                known = name_question(phrase, ()).check(names[phrase])
            except ValueError:  # a phrase of clothes that are worn, not "in" which somebody is
                return None
        mentions[phrase] = known
    cast, actions = cast_actions(clauses, mentions)
    for references, order, plan in _readings(caption, clip.plan, cast, actions):
        if score(plan, clip.plan).right:
            found = Demonstration(
                prompt=caption,
                clauses=tuple(marked),
                names=tuple(names.values()),
                references=references,
                order=order if len(actions) > 1 else "",
                events=_steps(plan),
                imagined=_imagined(clip, plan),
            )
            assert score(demonstrated(found, clip.plan.ticks), clip.plan).right
            return found
    return None


def _segments(caption: str, clip: StageClip) -> list[str]:
    """The caption cut before its connectives and its place, in lower case and without punctuation."""
    places = [(clip.setting, SETTINGS[clip.setting])]
    if clip.script.weather:
        places.append((clip.script.weather, WEATHERS[clip.script.weather]))
    setting = "|".join(f"{where} (?:the |an? )?{name}" for name, where in places)
    whole = re.sub(rf"(?i) ?\b({setting})\b ?", r"|\1|", caption)
    cut = re.sub(rf"(?<!and) ((?:{'|'.join(_LEADS)}) )", r"|\1", re.sub(r", |\. ?|\|+", "|", whole))
    segments: list[str] = []
    for part in filter(str.strip, cut.split("|")):
        text = " ".join(words_of(part))
        if segments and segments[-1] in _LEADS:  # "After that, …"
            segments[-1] += f" {text}"
        else:
            segments.append(text)
    return segments


def _marked_clause(segment: str, verbs: Sequence[str]) -> str:
    """The segment with brackets around its verb, the longest that it could be."""
    for verb in sorted(verbs, key=len, reverse=True):
        if f" {verb} " in f" {segment} ":
            return f" {segment} ".replace(f" {verb} ", f" [{verb}] ").strip()
    return segment


def _marked_name(phrase: tuple[str, ...], labels: Sequence[str]) -> str:
    text = " ".join(phrase)
    label = next((label for label in labels if f" {label} " in f" {text} "), "")
    return f" {text} ".replace(f" {label} ", f" [{label}] ").strip() if label else text


def _readings(
    caption: str, gold: ActionPlan, cast: Cast, actions: list[Action]
) -> Iterator[tuple[dict[str, str], str, ActionPlan]]:
    """All that the caption could mean: whom each pronoun, what happens when; the caption's own links come first."""
    choices: list[list[tuple[Retelling, Action] | None]] = [
        [None] if action.resolved else [*retellings(cast, action).items()] for action in actions
    ]
    links = [_own_link(action.clause, first=i == 0) for i, action in enumerate(actions)]
    others = [[own, *(link for link in ("", *_MEANINGS) if link != own)] for own in links]
    orders = [order for order in product(*others) if order[0] != "then"]
    for told in product(*choices):
        read = [action if option is None else option[1] for action, option in zip(actions, told, strict=True)]
        if not all(action.resolved for action in read):
            continue
        references = {
            " ".join(action.clause.words): retold(action.clause, *option[0])
            for action, option in zip(actions, told, strict=True)
            if option is not None
        }
        for order in orders:
            numbered = [(link, number) for number, link in enumerate(order, 1)]
            try:
                plan = build_plan(caption, gold.ticks, cast, read, numbered)
            except ValueError:
                continue
            yield references, ", ".join(f"{link} {number}".strip() for link, number in numbered), plan


def _own_link(clause: Clause, *, first: bool) -> str:
    """The link that the clause's own connectives say."""
    lead = " ".join(clause.subject[: len(clause.subject) - len(clause.agent)])
    for words, meaning in sorted(_SAID.items(), key=lambda pair: -len(pair[0])):
        if f" {words} " in f" {lead} ":
            return meaning
    return "" if first or not lead else "then"


def _steps(plan: ActionPlan) -> tuple[DemonstratedEvent, ...]:
    starts = sorted({event.start for event in plan.events})
    return tuple(
        DemonstratedEvent(agent=e.agent, predicate=e.predicate, target=e.target, step=starts.index(e.start))
        for e in plan.events
    )


def _imagined(clip: StageClip, plan: ActionPlan) -> tuple[tuple[str, ...], ...]:
    """What the video shows and the caption does not say, in the first step; ids are the plan's."""
    steps = len({event.start for event in plan.events})
    ids = {thing.id for thing in plan.objects if sum(other.label == thing.label for other in plan.objects) == 1}
    lines = []
    for fact in clip.dsg.facts:
        if fact.source == "imagined" and fact.start == 0 and fact.subject in ids:
            if fact.attribute is not None:
                lines.append(f"{fact.subject} is {fact.attribute}")
            elif fact.object is not None:
                other = fact.object if fact.object in ids else clip.dsg.object(fact.object).label
                lines.append(f"{fact.subject} {fact.predicate} {other}")
    return (tuple(lines[:MAX_ADDED]), *((),) * (steps - 1))


def _shape(example: Demonstration) -> tuple[str, ...]:
    """What a demonstration shows: how its clauses begin, whether they have targets and pronouns, and the order."""
    frames = []
    for text in example.clauses:
        clause = parsed(text)
        lead = " ".join(clause.subject[: len(clause.subject) - len(clause.agent)])
        who = "pronoun" if len(clause.agent) == 1 else "name" if clause.agent else "nobody"
        frames.append(f"{lead}|{who}|{bool(clause.target)}|{bool(clause.verb)}")
    return (*frames, example.order)


def chosen(wanted: int) -> list[Demonstration]:
    """The first ``wanted`` captions of training seeds that differ in shape, each with an action that is still rare."""
    found: dict[tuple[str, ...], Demonstration] = {}
    verbs: dict[str, int] = {}
    for seed in count():
        clip = sample(seed)
        example = demonstration(clip, clip.caption)
        if example is None or not example.imagined[0] or _shape(example) in found:
            continue
        if not any(verbs.get(event.predicate, 0) <= len(found) // 12 for event in example.events):
            continue
        found[_shape(example)] = example
        for event in example.events:
            verbs[event.predicate] = verbs.get(event.predicate, 0) + 1
        if len(found) == wanted:
            return list(found.values())
    raise AssertionError("seeds do not end")


def as_json(examples: list[Demonstration]) -> str:
    """One demonstration per line."""
    lines = [json.dumps(example.model_dump(exclude_defaults=True)) for example in examples]
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m dysenvdm.studies.stage_demonstrations FILE.json")
    Path(sys.argv[1]).write_text(as_json(chosen(WANTED)), encoding="utf-8")
    sys.stdout.write(f"wrote {WANTED} demonstrations to {sys.argv[1]}\n")
