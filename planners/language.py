"""The little English grammar that code knows: function words, the base forms of verbs and nouns, and back from them.

What is a verb, who acts and what happens first is for the language model to say; these closed classes only tell
function words from content words in the spans that it marks. Source: ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def word_set(words: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(words.split())


DETERMINERS = word_set("a an the this that these those some any another other his her its their my your our")
INDEFINITE = word_set("a an another some")
PRONOUNS = word_set("he she it they him them who which")
REFLEXIVES = word_set("himself herself itself themselves each together")
DIRECTIONS = word_set("left right front back side forward backward forwards backwards")
NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
LOCATIVE = word_set("in on at under below beneath above near beside by behind inside outside between among")
PREPOSITIONS = LOCATIVE | word_set(
    "to into onto over through across around along from off out up down toward towards past against with for of"
)
LEADS = word_set(
    "and but then while before after as when once until first next later last lastly finally meanwhile suddenly only "
    "afterwards"
)
FUNCTION_WORDS = DETERMINERS | PRONOUNS | LEADS | PREPOSITIONS | frozenset(NUMBERS)
LEAD_PHRASES = ("at the same time", "after that", "before that", "in the end", "at last", "at first", "in the meantime")
WORN = word_set("wearing wears wear wore dressed clad")
"""Words that clothes follow, in "a girl wearing a red coat" or "a man who is dressed in blue"."""
AUXILIARIES = word_set("is are was were be been being has have had will does do did starts start begins begin")

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
_IRREGULAR_PLURALS = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "mice": "mouse",
    "geese": "goose",
}
_STRESSED_AT_THE_END = word_set("begin forget admit refer prefer permit")
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


def is_pronoun(phrase: Sequence[str]) -> bool:
    """Whether a phrase stands for somebody named elsewhere: "he", "them", and "her" where nothing follows it."""
    return phrase[0] in PRONOUNS or tuple(phrase) == ("her",)


def predicate_form(words: list[str]) -> str:
    """A marked action as a predicate: auxiliaries dropped, the verb in its base form, the rest as it was said."""
    rest = list(words)
    while len(rest) > 1 and (rest[0] in AUXILIARIES or (rest[0] == "to" and len(rest) < len(words))):
        if rest[1] in DETERMINERS:  # "does a cartwheel", "has his breakfast": no auxiliary
            break
        rest = rest[1:]
    return " ".join([base_form(rest[0]), *rest[1:]])


def third_person(verb: str) -> str:
    """The form after "she": walk is "walks", carry is "carries", be is "is"."""
    irregular = {"be": "is", "have": "has"}
    if verb in irregular:
        return irregular[verb]
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ies"
    return verb + ("es" if re.search(r"(s|x|z|ch|sh|[^aeiou]o)$", verb) else "s")


def present_participle(verb: str) -> str:
    """The form after "she is": walk is "walking", ride is "riding", run is "running"."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        return verb[:-1] + "ing"
    doubled = re.fullmatch(r"(?:[^aeiou]*|qu)[aeiouy][^aeiouwxy]", verb) or verb in _STRESSED_AT_THE_END
    return verb + (verb[-1] if doubled else "") + "ing"


def with_article(noun: str) -> str:
    """A noun, or words that end in one, behind "a" or "an"."""
    word = noun.lower()
    like_you = word.startswith(("uni", "use", "usu", "eu", "one", "once")) and not word.startswith("unin")
    vowel = (word[0] in "aeiou" and not like_you) or word.startswith(("hour", "honest", "honor", "honour", "heir"))
    return f"{'an' if vowel else 'a'} {noun}"


def plural(noun: str) -> str:
    """The plural of a counted noun: "dog" twice is "dogs"."""
    irregular = {one: many for many, one in _IRREGULAR_PLURALS.items()}
    *first, last = noun.split()
    return " ".join([*first, irregular.get(last) or third_person(last)])


def is_plural(noun: str) -> bool:
    """Whether a noun stands for several: "pigeons", "people"; "bus" and "grass" do not."""
    last = noun.split()[-1]
    looks_so = last.endswith("s") and not last.endswith(("ss", "us", "is")) and last not in ("lens", "gas", "canvas")
    return last in _IRREGULAR_PLURALS or looks_so


def singular(noun: str) -> str:
    """The singular of a counted noun: "two dogs" are two objects with the label "dog"."""
    irregular = _IRREGULAR_PLURALS
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
