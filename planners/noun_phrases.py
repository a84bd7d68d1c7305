"""Naming the objects of a dynamic scene graph in English: "an old man in a blue shirt", then "the man", then "he".

Closed word lists again, no model; a label that they do not know is treated as a countable noun. Source: ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from planners.dsg import DynamicSceneGraph, Fact
from planners.language import DETERMINERS, NUMBERS, PREPOSITIONS, is_plural, plural, with_article, word_set
from planners.rules.words import CLOTHES, COLORS, FEMALE, LOOKS, MALE

MASS = word_set(
    "water coffee tea milk juice wine beer soup rice bread food snow rain sand grass mud smoke music wood ice dust hay "
    "furniture clothing laundry traffic popcorn corn pasta cheese butter paint ink soil dirt fog mist lava"
)
"""Nouns without "a"."""
UNIQUE = word_set("sun moon sky ground floor ceiling horizon sea ocean air wind world camera background foreground")
"""Nouns that take "the" from the first."""
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
_NUMBER_WORDS = {number: word for word, number in NUMBERS.items()}


class Names:
    """What the objects of one telling are called, and what has been said of them so far."""

    def __init__(self, dsg: DynamicSceneGraph) -> None:
        self.labels = {thing.id: _without_article(thing.label) for thing in dsg.objects}
        self.alike: dict[str, list[str]] = {}
        for ident, label in self.labels.items():
            self.alike.setdefault(label, []).append(ident)
        self.traits = {
            ident: [fact.label for fact in dsg.facts if fact.subject == ident and fact.attribute]
            for ident in self.labels
        }
        self.known: set[str] = set()
        """Ids of the objects that have been named."""
        self.told: set[tuple[str, str]] = set()
        """(object id, attribute) that have been said."""

    def pronoun(self, ident: str) -> str | None:
        """ "he" or "she" where only this object can be meant; None where it must be named."""
        gender = _gender(self.labels[ident])
        alike = [label for label in self.labels.values() if _gender(label) == gender]
        return gender if len(alike) == 1 else None

    def plural(self, ident: str) -> bool:
        return is_plural(_head(self.labels[ident]))

    def news(self, ident: str, facts: Iterable[Fact]) -> list[str]:
        """The object's attributes among ``facts`` that have not been said."""
        texts = dict.fromkeys(fact.attribute for fact in facts if fact.subject == ident and fact.attribute)
        return [text for text in texts if (ident, text) not in self.told]

    def phrase(self, ident: str, facts: Iterable[Fact], places: Sequence[str] = ()) -> str:
        """The object's name with those attributes among ``facts`` that are news; ``places`` follow where it is new."""
        news = self.news(ident, facts)
        self.told |= {(ident, text) for text in news}
        label = self.labels[ident]
        if ident not in self.known:
            again = any(other in self.known for other in self.alike[label])
            self.known.add(ident)
            return " ".join([_introduced(label, news, again=again), *places])
        return self._again(ident, label) + (f", now {listed(news)}," if news else "")

    def together(self, idents: Sequence[str], facts: Sequence[Fact]) -> str:
        """Several objects as one: "two dogs", "a man and a woman"."""
        labels = {self.labels[ident] for ident in idents}
        same = len({tuple(self.news(ident, facts)) for ident in idents}) == 1
        fresh = self.known.isdisjoint(idents)
        if len(idents) == 1 or len(labels) > 1 or not same or not (fresh or self.known.issuperset(idents)):
            return listed([self.phrase(ident, facts) for ident in idents])
        [label] = labels
        news = self.news(idents[0], facts)
        number = _NUMBER_WORDS.get(len(idents), str(len(idents)))
        self.told |= {(ident, text) for ident in idents for text in news}
        self.known |= set(idents)
        if fresh:
            return " ".join([number, _described(plural(label), news)])
        every = len(idents) == len(self.alike[label])
        return f"the {'' if every else number + ' '}{plural(label)}" + (f", now {listed(news)}," if news else "")

    def _again(self, ident: str, label: str) -> str:
        """A known object: "the girl", or "the girl in a red coat" or "the second girl" where there are more."""
        alike = self.alike[label]
        if label[0].isupper():
            return label
        if len(alike) == 1:
            return f"the {label}"
        others = {text for other, text in self.told if other in alike and other != ident}
        own = [text for text in self.traits[ident] if (ident, text) in self.told and text not in others]
        if own:
            return f"the {_described(label, own[:1])}"
        number = alike.index(ident)
        return f"the {_ORDINALS[number] if number < len(_ORDINALS) else f'{number + 1}th'} {label}"


def listed(items: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def _introduced(label: str, news: Sequence[str], *, again: bool) -> str:
    """An object at its first naming; ``again`` where another one of its label has been named."""
    described = _described(label, news)
    first = label.split()[0]
    if first in DETERMINERS or label[0].isupper():
        return described
    head = _head(label)
    if head in UNIQUE:
        return f"the {described}"
    if again:
        return f"{'more' if is_plural(head) else 'another'} {described}"
    return described if head in MASS or is_plural(head) else with_article(described)


def _described(label: str, attributes: Sequence[str]) -> str:
    """A noun with its attributes, those of a word or two before it, colours last, the others behind it."""
    before = [text for text in attributes if _comes_before(text) and text not in COLORS]
    colors = [text for text in attributes if text in COLORS]
    before += [listed(colors)] if colors else []
    return " ".join([*before, label, *(_behind(text) for text in attributes if not _comes_before(text))])


def _comes_before(attribute: str) -> bool:
    """Whether an attribute is said before its noun: "red", "very old", "smiling"; not "in a red coat"."""
    words = attribute.split()
    return len(words) <= 3 and not set(words) & (PREPOSITIONS | DETERMINERS | CLOTHES | LOOKS | {"and"})


def _behind(attribute: str) -> str:
    words = attribute.split()
    if words[0] in PREPOSITIONS or words[0].endswith("ing") or words[0] == "made":
        return attribute
    if words[0] in DETERMINERS or not set(words) & (CLOTHES | LOOKS):
        return f"that is {attribute}"
    bare = is_plural(words[-1]) or words[-1] in MASS or words[-1] == "hair"
    return f"{'in' if words[-1] in CLOTHES else 'with'} {attribute if bare else with_article(attribute)}"


def _without_article(label: str) -> str:
    first, _, rest = label.partition(" ")
    return rest if rest and first.lower() in ("a", "an", "the") else label


def _head(label: str) -> str:
    """The noun of a label: "cup" of "cup of coffee"."""
    words = label.lower().split()
    end = next((i for i, word in enumerate(words) if i and word in PREPOSITIONS), len(words))
    return words[end - 1]


def _gender(label: str) -> str | None:
    head = _head(label)
    return "he" if head in MALE else "she" if head in FEMALE else None
