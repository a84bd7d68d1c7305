"""Forms of English verbs, made from the base form: "jump over" gives "jumps over", "jumping over", "jumped over".

Only the first word of a verb phrase changes. Source: ours, for the verbs of the Stage world and their synonyms.
"""

from __future__ import annotations

import re

_PARTICIPLES = {
    "run": "run",
    "sit": "sat",
    "lie": "lain",
    "fall": "fallen",
    "spin": "spun",
    "throw": "thrown",
    "catch": "caught",
    "give": "given",
    "take": "taken",
    "go": "gone",
    "make": "made",
    "hold": "held",
    "bring": "brought",
    "put": "put",
    "stand": "stood",
    "set": "set",
    "swing": "swung",
    "hit": "hit",
    "eat": "eaten",
    "drink": "drunk",
    "sweep": "swept",
    "fly": "flown",
    "get": "got",
    "sleep": "slept",
    "sing": "sung",
    "shake": "shaken",
    "bend": "bent",
    "ride": "ridden",
    "do": "done",
}
_SHORT = re.compile(r"[^aeiou]*(?:qu)?[aeiou][^aeiouwxy]")
"""One syllable with a short vowel: "hug" doubles its consonant."""


def third(verb: str) -> str:
    """ "he jumps over": the third person singular of the present."""
    head, rest = _parted(verb)
    if re.search(r"(s|sh|ch|x|z|o)$", head):
        return f"{head}es{rest}"
    return (f"{head[:-1]}ies" if re.search(r"[^aeiou]y$", head) else f"{head}s") + rest


def gerund(verb: str) -> str:
    """ "jumping over"."""
    head, rest = _parted(verb)
    if head.endswith("ie"):
        return f"{head[:-2]}ying{rest}"
    if head.endswith("e") and not head.endswith("ee"):
        return f"{head[:-1]}ing{rest}"
    return f"{_doubled(head)}ing{rest}"


def participle(verb: str) -> str:
    """ "he has jumped over", "the box is pushed"."""
    head, rest = _parted(verb)
    if head in _PARTICIPLES:
        return _PARTICIPLES[head] + rest
    if head.endswith("e"):
        return f"{head}d{rest}"
    return (f"{head[:-1]}ied" if re.search(r"[^aeiou]y$", head) else f"{_doubled(head)}ed") + rest


def _parted(verb: str) -> tuple[str, str]:
    head, space, rest = verb.partition(" ")
    return head, space + rest


def _doubled(head: str) -> str:
    return head + head[-1] if _SHORT.fullmatch(head) else head
