"""Stage I, from the language model's marks to an :class:`ActionPlan`: who is who, and from order to ticks.

Which thing a phrase means follows English articles ("a dog … the dog" is one, "a dog … another dog" are two);
pronouns were resolved by the language model. Time is told as an order; its steps share the plan's ticks evenly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from planners.action_planning import Clause, Mention, Retelling
from planners.dsg import ActionPlan, Event, SceneObject
from planners.language import INDEFINITE, is_pronoun, singular, slug

Group = tuple[int, ...]
"""Numbers of the cast's things that a phrase means: one, or all of "two dogs"."""


@dataclass(frozen=True)
class Thing:
    """A person, animal, object or place of the prompt."""

    label: str
    attributes: tuple[str, ...]

    @property
    def words(self) -> str:
        """How it is told apart from others: "girl in a red coat"."""
        before = [text for text in self.attributes if " " not in text]
        after = [text for text in self.attributes if " " in text]
        return " ".join((*before, self.label, *after))


@dataclass
class Cast:
    """The things of a prompt in order of mention."""

    things: list[Thing] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)

    def meet(self, mentions: Sequence[Mention], place: bool = False) -> Group:
        """The things that a phrase means, new ones or those already known; no pronoun stands for a place."""
        group = tuple(i for mention in mentions for i in self._known(mention) or self._new(mention))
        if group not in self.groups and not place:
            self.groups.append(group)
        return group

    def describe(self, group: Group) -> str:
        """Words that tell this group from all others: "the girl", "the girl in a red coat" beside another girl."""
        labels = Counter(thing.label for thing in self.things)
        names = [self.things[i].words if labels[self.things[i].label] > 1 else self.things[i].label for i in group]
        return " and ".join(f"the {name}" for name in dict.fromkeys(names))

    def ids(self) -> list[str]:
        """Stable ids: ``box``, or ``dog_1`` and ``dog_2`` where a label is used twice."""
        slugs = [slug(thing.label) for thing in self.things]
        count, seen = Counter(slugs), Counter[str]()
        names = []
        for name in slugs:
            seen[name] += 1
            names.append(f"{name}_{seen[name]}" if count[name] > 1 else name)
        return names

    def _known(self, mention: Mention) -> Group:
        if mention.determiner in INDEFINITE or mention.number > 1:
            return ()
        plural = singular(mention.label)
        everyone = tuple(i for i, thing in enumerate(self.things) if thing.label == plural != mention.label)
        if len(everyone) > 1:
            return everyone
        fits = [
            i
            for i, thing in enumerate(self.things)
            if thing.label == mention.label and set(mention.attributes) <= set(thing.attributes)
        ]
        return tuple(fits[-1:])

    def _new(self, mention: Mention) -> Group:
        label = singular(mention.label) if mention.number > 1 else mention.label
        first = len(self.things)
        self.things += [Thing(label, mention.attributes)] * mention.number
        return tuple(range(first, len(self.things)))


@dataclass(frozen=True)
class Action:
    """A clause with its agents and targets in the cast; () where there are none, None where only a pronoun is."""

    clause: Clause
    agents: Group | None
    targets: Group | None
    before: tuple[Group, ...] = ()
    """Whom and what the text mentions before this clause."""

    @property
    def resolved(self) -> bool:
        return bool(self.agents) and self.targets is not None


def phrases(clauses: Sequence[Clause]) -> list[tuple[str, ...]]:
    """The different phrases that name somebody or something, pronouns apart."""
    found = [
        phrase for clause in clauses for phrase in (clause.agent if clause.verb else (), clause.target, clause.place)
    ]
    return [phrase for phrase in dict.fromkeys(found) if phrase and not is_pronoun(phrase)]


def cast_actions(
    clauses: Sequence[Clause], names: Mapping[tuple[str, ...], tuple[Mention, ...]]
) -> tuple[Cast, list[Action]]:
    """The cast of all clauses, and the action of each clause with a verb; ``names`` has every phrase's mentions."""
    cast, actions = Cast(), []

    def meant(phrase: tuple[str, ...], missing: Group | None) -> Group | None:
        if not phrase:
            return missing
        return None if is_pronoun(phrase) else cast.meet(names[phrase])

    for clause in clauses:
        if clause.verb:
            before = tuple(cast.groups)
            agents = meant(clause.agent, None)
            actions.append(Action(clause, agents, meant(clause.target, ()), before))
        if clause.place and not is_pronoun(clause.place):
            cast.meet(names[clause.place], place=True)
    return cast, actions


def retellings(cast: Cast, action: Action) -> dict[Retelling, Action]:
    """Every way to say an action without its pronouns: nobody acts on himself.

    A pronoun means what was mentioned before, unless nothing was ("before he sits, the boy waves").
    """
    missing = (action.agents is None) + (action.targets is None)
    known = action.before if len(action.before) >= missing else tuple(cast.groups)
    agents = known if action.agents is None else (action.agents,)
    targets = known if action.targets is None else (action.targets,)
    return {
        (
            cast.describe(agent) if action.agents is None else None,
            cast.describe(target) if action.targets is None else None,
        ): replace(action, agents=agent, targets=target)
        for agent in agents
        for target in targets
        if not set(agent) & set(target)
    }


def time_steps(order: Sequence[tuple[str, int]]) -> dict[int, int]:
    """When each action happens: action number -> step, from 0 on, actions of one step at the same time.

    ``order`` are (link, action) pairs as told: the link says how the action relates to the main action before it; a
    first action with a link relates to the next one.
    """
    (opening, first), *others = order
    line: list[list[int]] = [[first]]
    main = first

    def insert(action: int, offset: int, beside: int) -> None:
        at = next(i for i, step in enumerate(line) if beside in step)
        line.insert(at + offset, [action])

    def join(action: int, beside: int) -> None:
        next(step for step in line if beside in step).append(action)

    for link, action in others:
        if opening:
            if opening == "while":
                join(action, first)
            else:
                insert(action, 0 if opening == "before" else 1, first)
            opening, main = "", action
        elif link == "while":
            join(action, main)
        elif link == "after":
            insert(action, 0, main)
        else:
            insert(action, 1, main)
            main = action
    return {action: i for i, step in enumerate(line) for action in step}


def build_plan(
    prompt: str, ticks: int, cast: Cast, actions: Sequence[Action], order: Sequence[tuple[str, int]]
) -> ActionPlan:
    """The plan: every agent's every target is an event; equal steps of time.

    Raises ValueError with more steps than ticks.
    """
    steps = time_steps(order) if order else {}
    timed = []
    for number, action in enumerate(actions, start=1):
        assert action.agents is not None
        timed.append((steps[number], action.clause.predicate, action.agents, action.targets or ()))
    return timed_plan(prompt, ticks, cast, timed)


def timed_plan(prompt: str, ticks: int, cast: Cast, actions: Sequence[tuple[int, str, Group, Group]]) -> ActionPlan:
    """The plan of (step, predicate, agents, targets) actions: every agent's every target is an event, and the steps
    share the ticks evenly.

    Raises ValueError with more steps than ticks.
    """
    count = max((step for step, *_ in actions), default=-1) + 1
    if count > ticks:
        raise ValueError(f"{count} actions one after the other do not fit into {ticks} ticks")
    ids = cast.ids()
    events = []
    for step, predicate, agents, targets in actions:
        start, end = step * ticks // count, (step + 1) * ticks // count
        for agent in agents:
            for target in targets or (None,):
                events.append(
                    Event(
                        agent=ids[agent],
                        predicate=predicate,
                        target=None if target is None else ids[target],
                        start=start,
                        end=end,
                    )
                )
    return ActionPlan(
        prompt=prompt,
        ticks=ticks,
        objects=tuple(SceneObject(id=ident, label=thing.label) for ident, thing in zip(ids, cast.things, strict=True)),
        attributes=tuple(
            (ident, text) for ident, thing in zip(ids, cast.things, strict=True) for text in thing.attributes
        ),
        events=tuple(sorted(events, key=lambda event: event.start)),
    )
