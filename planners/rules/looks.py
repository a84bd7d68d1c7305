"""What people wear and look like, taken out of a text before it is parsed.

A small parser reads "a girl in a red dress waves" as a girl in "dress waves". So "in a red dress" is taken out first
and given back to its noun as the attribute that it is. Source: ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from planners.language import AUXILIARIES, DETERMINERS, FUNCTION_WORDS, NUMBERS
from planners.rules.words import CLOTHES, LOOKS

_LONGEST = 5
_WEARING = ("wearing", "dressed")


def without_looks(words: Sequence[str]) -> tuple[list[str], dict[int, list[str]]]:
    """The words without "in a red coat" and the like; and what was taken out, by the index of the word left before."""
    left: list[str] = []
    looks: dict[int, list[str]] = {}
    i = 0
    while i < len(words):
        end = _looks_end(words, i)
        if end is None:
            left.append(words[i])
            i += 1
        else:
            said = [word.lower() for word in words[i + (words[i].lower() == "who") : end]]
            text = " ".join(["in", *said[1:]] if said[0] in ("wearing", "wears") else said[said[0] == "dressed" :])
            looks.setdefault(len(left) - 1, []).append(text)
            i = end
    return left, looks


def _looks_end(words: Sequence[str], i: int) -> int | None:
    """Where the looks that begin at word ``i`` end; None where none begin."""
    lead = words[i].lower()
    if lead == "who" and words[i + 1 : i + 2] == ["wears"]:
        return _phrase_end(words, i + 2, CLOTHES)
    if lead not in ("in", "with", *_WEARING) or i == 0 or not words[i - 1].isalpha():
        return None
    if lead in _WEARING and words[i - 1].lower() in AUXILIARIES | FUNCTION_WORDS:
        return None
    if lead == "dressed":
        return _phrase_end(words, i + 2, CLOTHES) if words[i + 1 : i + 2] == ["in"] else None
    end = _phrase_end(words, i + 1, LOOKS | CLOTHES if lead == "with" else CLOTHES)
    while end is not None and words[end : end + 1] == ["and"]:
        more = _phrase_end(words, end + 1, LOOKS | CLOTHES)
        if more is None:
            break
        end = more
    return end


def _phrase_end(words: Sequence[str], start: int, nouns: frozenset[str]) -> int | None:
    """Where a noun phrase from ``start`` on ends whose noun is one of ``nouns``; None where there is no such phrase."""
    for j, word in enumerate(map(str.lower, words[start : start + _LONGEST]), start):
        following = words[j + 1].lower() if j + 1 < len(words) else ""
        if word in nouns and following not in nouns:
            return j + 1
        determiner = j == start and (word in DETERMINERS or word in NUMBERS)
        if not determiner and (word in FUNCTION_WORDS or not word.replace("-", "").isalpha()):
            return None
    return None
