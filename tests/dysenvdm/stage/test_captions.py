"""Captions say what the script says, in several orders; the sentence of the issue is one of them."""

from __future__ import annotations

import re
from random import Random

from dysenvdm.stage import StageClip
from dysenvdm.stage.actions import ACTIONS
from dysenvdm.stage.captions import phrasings
from dysenvdm.stage.placing import Placing, Wish
from dysenvdm.stage.script import Role, Script
from dysenvdm.stage.world import PROPS


def all_captions(clip: StageClip) -> tuple[str, ...]:
    return (clip.caption, *clip.captions)


def example() -> Script:
    """A girl walks to a box and jumps over it, a dog runs to the left meanwhile."""
    cast = (Role("girl", "girl", "coat", "red", True), Role("dog", "dog", "", "brown", False))
    wishes = [
        Wish(0, ACTIONS["walk to"], "box", 0, 4),
        Wish(0, ACTIONS["jump over"], "box", 4, 8),
        Wish(1, ACTIONS["run to the left"], None, 4, 8),
    ]
    placed = next(placed for seed in range(5000) if (placed := Placing(Random(seed), cast, ("box",), wishes).place()))
    return Script(8, "park", False, *placed, groups=((0,), (1, 2)))


def test_the_example_is_within_the_corpus() -> None:
    told = {caption for seed in range(400) for caption in phrasings(example(), Random(seed))}
    assert "A girl in a red coat walks to the box, then she jumps over it while a dog runs to the left." in told
    assert "A girl in a red coat walks to the box, then jumps over it as a dog runs to the left." in told


def test_captions_are_sentences(clips: tuple[StageClip, ...]) -> None:
    for clip in clips:
        told = all_captions(clip)
        assert len(set(told)) == len(told)
        for caption in told:
            assert re.fullmatch(r"[A-Z][a-z]*(,? [a-z]+|\. [A-Z][a-z]*)*\.", caption), caption
            assert not re.search(r"\b(a [aeiou]|an [^aeiou])", caption), caption
            assert not re.search(r"\b(\w+) \1\b", caption), caption


def test_captions_name_everything_that_acts_or_is_acted_on(clips: tuple[StageClip, ...]) -> None:
    for clip in clips:
        for caption in all_captions(clip):
            words = caption.lower()
            for thing in clip.plan.objects:
                assert thing.label in words
            for act in clip.script.acts:
                action = ACTIONS[act.predicate]
                assert action.third in words or action.gerund in words


def test_what_is_said_is_the_same_in_all_phrasings(clips: tuple[StageClip, ...]) -> None:
    for clip in clips:
        twins = len({role.kind for role in clip.script.roles}) < len(clip.script.roles)
        for caption in all_captions(clip):
            for role in clip.script.roles:
                said = role.attribute if role.garment else f"{role.attribute} {role.kind}"
                assert (said in caption) == role.says_color or twins
            assert (clip.setting in caption) == clip.script.says_setting
            assert all(
                not re.search(rf"\b{prop}\b", caption) for prop in set(PROPS) - {act.target for act in clip.script.acts}
            )


def test_some_tellings_are_out_of_order(clips: tuple[StageClip, ...]) -> None:
    """Where the later of two acts of different verbs is told first, it is told with "after" or "before"."""
    turned = 0
    for clip in clips:
        verbs = [ACTIONS[act.predicate] for act in clip.script.acts]
        if [len(group) for group in clip.script.groups] != [1, 1] or verbs[0] is verbs[1]:
            continue
        for caption in all_captions(clip):
            first, second = (min(i for form in (v.third, v.gerund) if (i := caption.find(form)) >= 0) for v in verbs)
            if second < first:
                assert re.search(r"\b(after|before)\b", caption.lower())
                turned += 1
    assert turned > 20


def test_pronouns_mean_one_being(clips: tuple[StageClip, ...]) -> None:
    for clip in clips:
        kinds = [role.kind for role in clip.script.roles]
        for caption in all_captions(clip):
            words = re.findall(r"\w+", caption.lower())
            for pronoun, may_be in (("she", {"girl", "woman"}), ("he", {"boy", "man"}), ("her", {"girl", "woman"})):
                if pronoun in words:
                    assert sum(kind in may_be for kind in kinds) == 1
