"""Sentences of everyday English with the marks that make their gold plans: what planners are tuned on beside Stage.

A sentence is made from what happens (who does what to whom, in which step), told in order or out of order, with
pronouns, left-out subjects and many connectives. The marks follow from the making; a sentence is kept only if the
planner reads exactly those events out of them. Nothing here comes from prompts that measure quality.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from random import Random
from typing import Any

import yaml

from planners.action_planning import MAX_SEGMENTS, plain_name
from planners.demonstrations import DemonstratedEvent, Demonstration
from planners.dysen import demonstrated
from planners.language import NUMBERS, base_form

OBJECT_CASE = {"he": "him", "she": "her", "it": "it", "they": "them"}
LINKED = {  # what joins two steps told in order: text before the clause, words that begin it
    "then": ((", ", "then"), (" ", "then"), (" ", "and then"), (". ", "then"), (". ", "after that"), (" ", "and"),
             (", ", "and"), (". ", ""), (", ", "and finally"), (". ", "next"), (". ", "finally"), (". ", "later"),
             (", ", "but"), (". ", "suddenly"), (", ", "and later"), (". ", "afterwards"), (", ", "and then")),
    "before": ((" ", "before"), (" ", "until")),
    "while": ((" ", "while"), (" ", "while"), (" ", "as"), (" ", "and at the same time"), (", ", "while"),
              (". ", "meanwhile"), (". ", "at the same time"), (". ", "in the meantime")),
    "after": ((" ", "after"), (" ", "after"), (" ", "once")),
}  # fmt: skip
OPENINGS = {"after": ("after", "once", "when"), "before": ("before",), "while": ("while", "as")}
UNCOUNTED = ("deer", "sheep", "wolf")
DROPPING = ("then", "and", "and then", "and finally", "finally", "and later", "later")
"""Beginnings of clauses that may leave out the subject of the clause before."""
IMAGINED = {
    "people": "happy tired calm smiling excited proud curious careful relaxed serious cheerful friendly standing",
    "animals": "playful fluffy brown small curious young calm hungry excited wet",
    "things": "wooden old new small big clean dirty shiny red white heavy broken",
}
SCENERY = "near tree|near fence|near door|on floor|on grass|in front of house|beside road|near window|on ground"


@cache
def lexicon() -> dict[str, Any]:
    """The words of ``planner_lexicon.yaml``, every list as a tuple."""
    text = resources.files("dysenvdm").joinpath("studies", "planner_lexicon.yaml").read_text(encoding="utf-8")

    def lists(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): lists(item) for key, item in value.items()}
        return tuple(value.split(", ") if ", " in value else value.split())

    found: dict[str, Any] = lists(yaml.safe_load(text))
    return found


def plural(noun: str) -> str:
    """Several of a noun; only those that our grammar brings back to one are used."""
    irregular = {"man": "men", "woman": "women", "child": "children", "person": "people", "mouse": "mice"}
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return irregular.get(noun) or noun + ("es" if re.search(r"(s|x|z|ch|sh)$", noun) else "s")


def third(verb: str) -> str:
    """ "walk to" as "walks to"."""
    head, *rest = verb.split()
    irregular = {"have": "has", "go": "goes", "do": "does"}
    if re.search(r"[^aeiou]y$", head):
        form = f"{head[:-1]}ies"
    else:
        form = irregular.get(head) or head + ("es" if re.search(r"(s|x|z|ch|sh)$", head) else "s")
    return " ".join((form, *rest))


def gerund(verb: str) -> str:
    """ "run to" as "running to"."""
    head, *rest = verb.split()
    if head.endswith("ie"):
        form = f"{head[:-2]}ying"
    elif head.endswith("e") and not head.endswith(("ee", "oe")):
        form = f"{head[:-1]}ing"
    elif re.fullmatch(r"(?:[^aeiou]|qu)*[aeiou][bdgklmnprt]", head) and head not in ("look", "cook"):
        form = f"{head}{head[-1]}ing"
    else:
        form = f"{head}ing"
    return " ".join((form, *rest))


@dataclass
class Being:
    """Who or what takes part: its label, its looks before and after the noun, and its pronoun."""

    label: str
    kind: str
    pronoun: str
    before: str = ""
    after: str = ""
    number: int = 1

    @property
    def noun(self) -> str:
        label = self.label if self.number == 1 else plural(self.label)
        return " ".join(word for word in (self.before, label, self.after) if word)


@dataclass(frozen=True)
class Act:
    """``who`` does ``verb`` (to ``target``) in ``step``."""

    who: Being
    verb: str
    target: Being | None
    step: int


@dataclass
class _Sentence:
    """A sentence while it is told."""

    rng: Random
    tense: str
    text: str = ""
    clauses: list[str] = field(default_factory=list)
    references: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    met: list[Being] = field(default_factory=list)
    last: Act | None = None
    ahead: Being | None = None
    """Who acts in the next clause, where a pronoun may come before the name."""
    _pronoun_said: bool = False
    _hold_back: bool = False

    def add(self, separator: str, marked: str) -> None:
        plain = marked.replace("[", "").replace("]", "")
        starts = not self.text or separator.startswith(".")
        lead = re.match(
            r"(after that|at the same time|in the meantime|next|finally|later|afterwards|meanwhile)\b", plain
        )
        if starts and lead and self.rng.random() < 0.7:
            plain = f"{lead[0]},{plain[lead.end() :]}"
        self.text += separator + (plain[0].upper() + plain[1:] if starts else plain)
        self.clauses.append(marked)

    def say(self, act: Act, separator: str, lead: str, link: str, form: str = "") -> None:
        """Tell an act as the next clause; ``form`` "ing" leaves the subject out ("before leaving")."""
        silent = form == "ing"
        subject, told_subject = ("", self._the(act.who)) if silent else self._subject(act.who)
        again = self.last is not None and self.last.who is act.who
        may_drop = again and not silent and lead in DROPPING and separator != ". "
        if may_drop and self.rng.random() < 0.5:
            subject, told_subject = "", self._the(act.who)
        self._hold_back |= silent and act.who not in self.met  # "after waking up, a tall boy yawns"
        if not self._hold_back:
            self._meet(act.who)
        self._hold_back, self.ahead = False, None
        verb = gerund(act.verb) if silent else self._verb(act)
        target, told_target = self._target(act, subject)
        extra = ""
        if not silent and subject and self.rng.random() < 0.06:
            extra = self.rng.choice(lexicon()["adverbs"])
        words = [lead, subject, extra, f"[{verb}]", target]
        self.add(separator, " ".join(word for word in words if word))
        if told_subject or told_target:
            asked = " ".join(word for word in (lead, subject, extra, verb, target) if word)
            name = told_subject or " ".join(word for word in (subject, extra) if word)
            self.references[asked] = " ".join(word for word in (lead, name, verb, told_target or target) if word)
        self.acts.append(act)
        self.order.append(f"{link} {len(self.acts)}".strip())
        self.last = act

    def place(self, place: Being, preposition: str, *, first: bool) -> None:
        self._meet(place)
        words = f"{preposition} {self.rng.choice(('a', 'the'))} {place.before} {place.label}"
        self.add("" if first else " ", " ".join(words.split()))

    # -- words -----------------------------------------------------------------------------------------------------

    def _verb(self, act: Act) -> str:
        many = act.who.number > 1 or (act.who.pronoun == "they" and self._pronoun_said)
        roll = self.rng.random()
        if self.tense == "ing" and roll < 0.8:
            return f"{'are' if many else 'is'} {gerund(act.verb)}"
        if roll < 0.06:
            start = self.rng.choice(("start", "begin"))
            start = start if many else third(start)
            return f"{start} to {act.verb}" if self.rng.random() < 0.5 else f"{start} {gerund(act.verb)}"
        return act.verb if many else third(act.verb)

    def _subject(self, who: Being) -> tuple[str, str]:
        """The words for who acts; and, if they are a pronoun, the name to put in its place."""
        self._pronoun_said = False
        if self.ahead is who and who not in self.met and self.rng.random() < 0.4:  # "before she leaves, a girl waves"
            self._pronoun_said = self._hold_back = True
            return who.pronoun, self._the(who)
        if who in self.met and self.rng.random() < 0.65 and self._clear(who, subject=True):
            self._pronoun_said = True
            return who.pronoun, self._the(who)
        return self._name(who), ""

    def _target(self, act: Act, subject: str) -> tuple[str, str]:
        target = act.target
        if target is None:
            return "", ""
        if target.kind == "body":
            return target.label, ""
        if target in self.met and self.rng.random() < 0.6 and self._clear(target, subject=False) and subject != "it":
            form = OBJECT_CASE[target.pronoun]
            if form != "her":  # "her" is a determiner to our grammar
                return form, self._the(target)
        name = self._name(target)
        self._meet(target)
        return name, ""

    def _clear(self, who: Being, *, subject: bool) -> bool:
        """Whether the pronoun can mean nobody else: things cannot act, and "it" as object is what was acted on."""
        rivals = [other for other in self.met if other is not who and other.pronoun == who.pronoun]
        acted_on = self.last is not None and self.last.target is who and who.kind == "things"
        if subject or acted_on:
            rivals = [other for other in rivals if other.kind != "things"]
        return not rivals

    def _meet(self, who: Being) -> None:
        if who not in self.met:
            self.met.append(who)

    def _name(self, who: Being) -> str:
        if who in self.met:
            return self._the(who) if who.number == 1 else f"the {plural(who.label)}"
        if who.number > 1:
            return f"{next(word for word, number in NUMBERS.items() if number == who.number)} {who.noun}"
        article = self.rng.choice(("a", "a", "a", "the"))
        noun = who.noun
        if article == "a" and noun[0] in "aeiou" and not noun.startswith(("uni", "ukulele")):
            article = "an"
        if who.label in ("water", "tea", "coffee", "milk", "juice", "lemonade"):
            article = self.rng.choice(("the", "some"))
        return f"{article} {noun}"

    def _the(self, who: Being) -> str:
        """How a being is told apart: by its label, which is its own in a sentence."""
        return f"the {who.label}"


def sentence(rng: Random) -> Demonstration | None:
    """One sentence with its marks; None where the planner would not read out of them what was meant."""
    telling = _Sentence(rng, rng.choice(("s", "s", "s", "ing")))
    cast = _cast(rng)
    steps = rng.choice((1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6))
    groups: list[list[Act]] = []
    for step in range(steps):
        who = rng.choice(cast) if len(cast) > 1 and rng.random() < 0.5 else cast[0]
        group = [_act(rng, who, cast, step, groups)]
        others = [being for being in cast if being is not who]
        if who.number == 1 and rng.random() < 0.08:  # "… while singing"
            group.append(_act(rng, who, cast, step, groups))
        elif others and rng.random() < 0.3:
            group.append(_act(rng, rng.choice(others), cast, step, groups))
        groups.append(group)
    place = _place(rng) if rng.random() < 0.35 else None
    at_end = rng.random() < 0.5
    if place and not at_end:
        telling.place(*place, first=True)
    opening = ", " if place and not at_end else ""
    _tell(telling, groups, opening, (lambda: telling.place(*place, first=False)) if place and at_end else None)
    return _checked(telling, place[0] if place else None)


def _tell(telling: _Sentence, groups: list[list[Act]], opening: str, after_first: Any) -> None:
    """Tell all groups: the first two perhaps out of order, then one after the other."""
    rng = telling.rng
    single = [len(group) == 1 for group in groups]
    same = len(groups) > 1 and groups[0][0].who is groups[1][0].who
    rest = 2
    mode = rng.random()
    gerunds = same and rng.random() < 0.4
    form = "ing" if gerunds else ""
    if len(groups) > 1 and single[0] and mode < 0.14:  # after 1, 2
        telling.ahead = groups[1][0].who if same else None
        telling.say(groups[0][0], opening, "after" if gerunds else rng.choice(OPENINGS["after"]), "after", form)
        _group(telling, groups[1], ", ", "", "")
    elif len(groups) > 1 and all(single[:2]) and mode < 0.26:  # before 2, 1
        telling.ahead = groups[0][0].who if same else None
        telling.say(groups[1][0], opening, "before", "before", form)
        telling.say(groups[0][0], ", ", "", "")
    elif len(groups) > 1 and all(single[:2]) and mode < 0.38:  # 2 after 1
        telling.say(groups[1][0], opening, "", "")
        separator, lead = rng.choice(LINKED["after"])
        telling.say(groups[0][0], separator, "after" if gerunds else lead, "after", form)
    elif len(groups) > 1 and all(single[:2]) and mode < 0.52:  # 1 before 2
        telling.say(groups[0][0], opening, "", "")
        separator, lead = rng.choice(LINKED["before"])
        telling.say(groups[1][0], separator, "before" if gerunds else lead, "before", form)
    elif not single[0] and mode < 0.8:  # while 1a, 1b
        alone = groups[0][0].who is groups[0][1].who
        lead = "while" if alone else rng.choice(OPENINGS["while"])
        telling.say(groups[0][0], opening, lead, "while", "ing" if alone else "")
        telling.say(groups[0][1], ", ", "", "")
        rest = 1
    else:
        first = "first" if len(groups) > 1 and rng.random() < 0.15 else ""
        telling.say(groups[0][0], opening, first, "")
        if after_first:
            after_first()
        if not single[0]:
            _beside(telling, *groups[0])
        rest = 1
    for i, group in enumerate(groups[rest:], rest):
        following = groups[i + 1] if i + 1 < len(groups) else None
        told_back = following and len(group) == len(following) == 1 and i + 2 == len(groups) and rng.random() < 0.1
        if told_back and following:  # …, then 4 after 3
            telling.say(following[0], *rng.choice(LINKED["then"][:4]), "then")
            telling.say(group[0], *rng.choice(LINKED["after"]), "after")
            return
        aside = telling.order[-1].startswith(("after", "while"))  # what comes next must not seem to belong to it
        separator, lead = rng.choice(LINKED["then"])
        while (lead.endswith("finally") and i + 1 < len(groups)) or (aside and lead in ("and", "but", "")):
            separator, lead = rng.choice(LINKED["then"])
        _group(telling, group, separator, lead, "then")


def _group(telling: _Sentence, group: list[Act], separator: str, lead: str, link: str) -> None:
    telling.say(group[0], separator, lead, link)
    for act in group[1:]:
        _beside(telling, group[0], act)


def _beside(telling: _Sentence, main: Act, act: Act) -> None:
    """Tell what happens at the same time as ``main``: "while a dog barks", "while singing"."""
    if act.who is main.who:
        telling.say(act, " ", "while", "while", "ing")
    else:
        telling.say(act, *telling.rng.choice(LINKED["while"]), "while")


def _cast(rng: Random) -> list[Being]:
    """One to three beings with different labels."""
    words = lexicon()
    beings: list[Being] = []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 2, 3))):
        if rng.random() < 0.65:
            pronoun = rng.choice(("she", "he", "any", "any"))
            label = rng.choice(("person", "man", "woman", "boy", "girl")) if rng.random() < 0.25 else ""
            if label:
                pronoun = {"person": "any", "man": "he", "boy": "he"}.get(label, "she")
            being = Being(label or rng.choice(words["people"][pronoun]), "people", pronoun)
            if pronoun == "any":
                being.pronoun = rng.choice(("he", "she", "they") if being.label == "person" else ("he", "she"))
            roll = rng.random()
            if roll < 0.2:
                garment = rng.choice(words["garments"])
                color = rng.choice(words["colors"])
                being.after = f"in {'an' if color[0] in 'aeiou' else 'a'} {color} {garment}"
            elif roll < 0.28:
                being.after = f"with {rng.choice(words['features'])}"
        else:
            being = Being(rng.choice(words["animals"]), "animals", "it")
        if rng.random() < 0.1 and not being.after and being.label not in UNCOUNTED:
            being.number, being.pronoun = rng.choice((2, 2, 3)), "they"
        elif rng.random() < 0.25:
            being.before = rng.choice(words["looks"][being.kind])
        if all(being.label != other.label for other in beings):
            beings.append(being)
    return beings


def _act(rng: Random, who: Being, cast: list[Being], step: int, told: list[list[Act]]) -> Act:
    """Something that ``who`` can do, perhaps to something that was acted on before."""
    verbs = lexicon()["verbs"]
    roll = rng.random()
    used = [act.target for group in told for act in group if act.target and act.target.kind == "things"]
    others = [being for being in cast if being is not who]
    if roll < 0.38:
        kind = "living" if rng.random() < 0.5 else ("person" if who.kind == "people" else "animal")
        adverb = rng.choice(lexicon()["adverbs"]) if rng.random() < 0.08 else ""
        return Act(who, f"{rng.choice(verbs[kind])} {adverb}".strip(), None, step)
    if roll < 0.46 and who.kind == "people":
        possessive = {"he": "his", "she": "her", "it": "its", "they": "their"}[who.pronoun]
        part = rng.choice([text for text in lexicon()["body"] if text.startswith(("his", "her"))]).split()[1]
        return Act(who, rng.choice(verbs["on body"]), Being(f"{possessive} {part}", "body", ""), step)
    if others and roll < 0.66:
        return Act(who, rng.choice(verbs["on living"]), rng.choice(others), step)
    again = used and rng.random() < 0.4
    target = rng.choice(used) if again else _thing(rng, {thing.label for thing in used})
    group = next(name for name in ("portable", "food", "drink", "fixed") if target.label in lexicon()[name])
    return Act(who, rng.choice(verbs[f"on {group}"]), target, step)


def _thing(rng: Random, taken: set[str]) -> Being:
    words = lexicon()
    group = rng.choice(("portable", "portable", "food", "fixed", "fixed", "drink"))
    label = rng.choice([word for word in words[group] if word not in taken])
    look = rng.choice(words["looks"]["things"]) if rng.random() < 0.2 and group in ("portable", "fixed") else ""
    return Being(label, "things", "it", before=look)


def _place(rng: Random) -> tuple[Being, str]:
    places = lexicon()["places"]
    preposition = rng.choice(("in", "in", "in", "on", "at", "near"))
    look = rng.choice(lexicon()["looks"]["places"]) if rng.random() < 0.15 else ""
    return Being(rng.choice(places[preposition]), "places", "", before=look), preposition


def _checked(telling: _Sentence, place: Being | None) -> Demonstration | None:
    """The telling as a demonstration, if what the planner makes of its marks is what was meant."""
    names = {}
    for being in telling.met:
        for phrase in _phrases(telling, being):
            if plain_name(tuple(phrase.split())) is None:
                names[phrase] = phrase.replace(f" {being.label}", f" [{being.label}]", 1)
    steps = max(act.step for act in telling.acts) + 1
    order = ", ".join(telling.order) if len(telling.order) > 1 else ""
    events = {
        (act.who.label, act.verb, act.target.label.split()[-1] if act.target else None, act.step)
        for act in telling.acts
    }
    if len(events) < len(telling.acts) or len(telling.clauses) > MAX_SEGMENTS:
        return None
    if place is not None and sum(being.label == place.label for being in telling.met) > 1:
        return None
    example = Demonstration(
        prompt=f"{telling.text}.",
        clauses=tuple(telling.clauses),
        names=tuple(names.values()),
        references=telling.references,
        order=order,
        events=tuple(
            DemonstratedEvent(
                agent=act.who.label, predicate=act.verb, target=act.target.label if act.target else None, step=act.step
            )
            for act in telling.acts
        ),
        imagined=_imagined(telling, steps),
    )
    try:
        plan = demonstrated(example, steps)
    except (ValueError, KeyError):
        return None
    label = {thing.id: thing.label for thing in plan.objects}
    found = {(label[e.agent], e.predicate, label[e.target] if e.target else None, e.start) for e in plan.events}
    count = {being.label: being.number for being in telling.met}
    wanted = sum(act.who.number * (act.target.number if act.target else 1) for act in telling.acts)
    things = Counter(thing.label for thing in plan.objects)
    same_things = all(things[label] == number for label, number in count.items()) and all(
        number == 1 or label in count for label, number in things.items()
    )
    return example if found == events and len(plan.events) == wanted and same_things else None


def _phrases(telling: _Sentence, being: Being) -> list[str]:
    """The noun phrases of the clauses that name this being with more than an article."""
    found = []
    for clause in telling.clauses:
        text = clause.replace("[", "").replace("]", "")
        found += re.findall(rf"\b(?:a|an|the|some) {re.escape(being.noun)}\b", text)
    return list(dict.fromkeys(found))


def _imagined(telling: _Sentence, steps: int) -> tuple[tuple[str, ...], ...]:
    """One or two lines for each step about who or what takes part in it; none is said twice, none by the sentence."""
    rng, said = telling.rng, set(telling.text.lower().split())
    eaten = {*lexicon()["food"], *lexicon()["drink"]}
    lines: list[tuple[str, ...]] = []
    for step in range(steps):
        beings = [being for act in telling.acts if act.step == step for being in (act.who, act.target) if being]
        found: list[str] = []
        for being in rng.sample(beings, k=min(len(beings), rng.choice((1, 2, 2)))):
            if being.kind not in IMAGINED or being.label in eaten:
                continue
            if rng.random() < 0.75:
                word = rng.choice(IMAGINED[being.kind].split())
                line = f"{being.label} is {word}"
            else:
                line = f"{being.label} {(word := rng.choice(SCENERY.split('|')))}"
            if not said & set(word.split()[-1:]):
                said.add(word.split()[-1])
                found.append(line)
        lines.append(tuple(found))
    return tuple(lines)


def unreadable() -> list[str]:
    """Verbs whose forms the planner's grammar would not bring back to their base form."""
    verbs = {verb.split()[0] for listed in lexicon()["verbs"].values() for verb in listed}
    return sorted(verb for verb in verbs if {base_form(third(verb)), base_form(gerund(verb))} != {verb})
