"""The little English grammar that code knows: function words and the base forms of verbs and nouns.

What is a verb, who acts and what happens first is for the language model to say; these closed classes only tell
function words from content words in the spans that it marks. Source: ours.
"""

from __future__ import annotations

import re


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


DETERMINERS = _set("a an the this that these those some any another other his her its their my your our")
INDEFINITE = _set("a an another some")
PRONOUNS = _set("he she it they him them who which")
REFLEXIVES = _set("himself herself itself themselves each together")
DIRECTIONS = _set("left right front back side forward backward forwards backwards")
NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
LOCATIVE = _set("in on at under below above near beside by behind inside outside between among")
PREPOSITIONS = LOCATIVE | _set(
    "to into onto over through across around along from off out up down toward towards past against with for of"
)
LEADS = _set(
    "and but then while before after as when once until first next later finally meanwhile suddenly afterwards"
)
FUNCTION_WORDS = DETERMINERS | PRONOUNS | LEADS | PREPOSITIONS | frozenset(NUMBERS)
LEAD_PHRASES = ("at the same time", "after that", "in the end", "at last", "at first", "in the meantime")
AUXILIARIES = _set("is are was were be been being has have had will does do did starts start begins begin")

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_IRREGULAR_VERBS = """
run ran running; sit sat sitting; lie lay lying; fall fell fallen; fly flew flown; go went gone goes; do did done
does; have had has; be is are was were been being; take took taken; throw threw thrown; catch caught; bring brought;
buy bought; stand stood; hold held; swim swam swum; sing sang sung; ring rang rung; drink drank drunk; ride rode
ridden; drive drove driven; write wrote written; eat ate eaten; give gave given; get got gotten; make made; come
came; see saw seen; meet met; leave left; leap leapt; sleep slept; sweep swept; feed fed; find found; build built;
break broke broken; hide hid hidden; tie tying; die dying; wake woke woken; blow blew blown; draw drew drawn; grow
grew grown; spin spun; swing swung; hang hung hanging; create creating; dig dug; win won; begin began begun; shake
shook shaken; tell told; say said; use used
"""
_IRREGULAR = {form: base for line in _IRREGULAR_VERBS.split(";") for base, *forms in [line.split()] for form in forms}
_KEPT_DOUBLES = ("ll", "ss", "zz", "ff")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def base_form(verb: str) -> str:
    """The dictionary form of one inflected verb: walks, walking and walked are "walk"."""
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return verb[:-3] + "y"
    if verb.endswith("ied") and len(verb) > 4:
        return verb[:-3] + "y"
    if re.search(r"(ss|sh|ch|x|zz|o)es$", verb):
        return verb[:-2]
    if verb.endswith("s") and not verb.endswith(("ss", "us", "is")):
        return verb[:-1]
    for ending in ("ing", "ed"):
        stem = verb.removesuffix(ending)
        if stem != verb and re.search(r"[aeiouy]", stem) and len(stem) > 1:
            return _stem_to_base(stem)
    return verb


def _stem_to_base(stem: str) -> str:
    """Undo what English does before -ing and -ed: a doubled consonant, a dropped e."""
    if len(stem) > 2 and stem[-1] == stem[-2] not in "aeiou" and not stem.endswith(_KEPT_DOUBLES):
        return stem[:-1]
    if re.search(r"([cvzsu]|[^n]g|[^aeiouw]l|[^aeiou]at|eath|ang)$", stem) and not stem.endswith(
        ("ss", "ll", "zz", "rl", "wl")
    ):
        return stem + "e"
    one_short_syllable = re.fullmatch(r"[^aeiou]*[aeiouy][^aeiouwxy]", stem)
    return stem + "e" if one_short_syllable else stem


def predicate_form(words: list[str]) -> str:
    """A marked action as a predicate: auxiliaries dropped, the verb in its base form, the rest as it was said."""
    rest = list(words)
    while len(rest) > 1 and (rest[0] in AUXILIARIES or (rest[0] == "to" and len(rest) < len(words))):
        rest = rest[1:]
    return " ".join([base_form(rest[0]), *rest[1:]])


def singular(noun: str) -> str:
    """The singular of a counted noun: "two dogs" are two objects with the label "dog"."""
    irregular = {
        "men": "man",
        "women": "woman",
        "children": "child",
        "people": "person",
        "mice": "mouse",
        "geese": "goose",
    }
    if noun in irregular:
        return irregular[noun]
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if re.search(r"(ss|sh|ch|x)es$", noun):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun


def without_leads(words: list[str]) -> list[str]:
    """Words without the connectives that they begin with: "and then the dog" is "the dog"."""
    while words:
        text = " ".join(words)
        phrase = next((p for p in LEAD_PHRASES if text == p or text.startswith(p + " ")), None)
        if phrase is not None:
            words = words[len(phrase.split()) :]
        elif words[0] in LEADS:
            words = words[1:]
        else:
            break
    return words


def slug(label: str) -> str:
    """A label as an object id: "snow field" is ``snow_field``."""
    return re.sub(r"[^A-Za-z0-9]+", "_", label).strip("_")[:48] or "thing"
