"""Figures of raters' answers: known answers, agreement as published, and files that must not be counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dysenvdm.studies.human.agreement import krippendorff_alpha
from dysenvdm.studies.human.create import Created
from dysenvdm.studies.human.files import QUESTIONS, Key, Ratings, read
from dysenvdm.studies.human.score import read_ratings, score
from dysenvdm.studies.human.scores_table import as_csv
from planners.dsg import UserError

Study = Callable[..., Created]
Judge = Callable[[str, str, str], int]
"""System, prompt, question -> rating."""


def test_alpha_is_that_of_the_published_example() -> None:
    """Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, example C, D: four observers, twelve units."""
    n = np.nan
    ratings = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, n, n, n],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, n, 3],
            [n, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, n],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, n],
        ]
    )
    assert krippendorff_alpha(ratings, "nominal") == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(ratings, "ordinal") == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha(ratings, "interval") == pytest.approx(0.849, abs=5e-4)


def test_alpha_of_equal_raters_is_one_of_random_ones_near_nothing_and_of_one_undefined() -> None:
    rng = np.random.default_rng(0)
    once = rng.integers(1, 6, size=400).astype(float)
    assert krippendorff_alpha(np.stack([once, once])) == pytest.approx(1)
    assert abs(krippendorff_alpha(rng.integers(1, 6, size=(4, 400)).astype(float)) or 1) < 0.05
    assert krippendorff_alpha(once[None]) is None
    assert krippendorff_alpha(np.ones((3, 5))) is None


def answers(key: Key, rater: str, judge: Judge) -> dict[str, Any]:
    told = {}
    for item in key.items:
        told[item.id] = {
            side: {
                q: judge(shown.system, item.prompt, q) if item.asked is None else item.asked[side] for q in QUESTIONS
            }  # type: ignore[index]
            for side, shown in (("left", item.left), ("right", item.right))
        } | {"seconds": 3.0, "plays": {"left": 1, "right": 1}}
    return {"format": "dysenvdm.ratings/1", "study": key.study, "rater": rater, "answers": told}


def write(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def parsed(key: Key, rater: str, judge: Judge) -> Ratings:
    return Ratings.model_validate(answers(key, rater, judge))


def test_known_ratings_give_known_figures_whatever_the_sides(study: Study) -> None:
    key = read(Key, study(seed=3).key)
    raters = [parsed(key, name, lambda system, *_: 5 if system == "northern" else 2) for name in "ab"]
    for question in score(key, raters)["questions"].values():
        assert question["scores"]["northern"] == {"mean": 100, "low": 100, "high": 100}
        assert question["scores"]["southern"] == {"mean": 25, "low": 25, "high": 25}
        [pair] = question["preferences"]
        assert (pair["wins"], pair["ties"], pair["losses"]) == (6, 0, 0)
        assert pair["points_ahead"]["mean"] == 75
        assert question["alpha"] == pytest.approx(1)


def test_questions_do_not_mix_and_ties_are_half_a_win(study: Study) -> None:
    key = read(Key, study().key)

    def judge(system: str, prompt: str, question: str) -> int:
        return {"action": 4, "scene": 1 if system == "northern" else 3, "movement": 3}[question]

    found = score(key, [parsed(key, "a", judge)])["questions"]
    assert [found[q]["scores"]["northern"]["mean"] for q in QUESTIONS] == [75, 0, 50]
    assert [found[q]["preferences"][0]["preferred"]["mean"] for q in QUESTIONS] == [0.5, 0, 0.5]
    assert found["action"]["alpha"] is None


def test_intervals_hold_the_mean_and_shrink_with_agreement(study: Study) -> None:
    key = read(Key, study().key)
    rng = np.random.default_rng(1)
    apart = [parsed(key, str(i), lambda *_: int(rng.integers(1, 6))) for i in range(5)]
    figure = score(key, apart)["questions"]["action"]["scores"]["northern"]
    assert figure["low"] < figure["mean"] < figure["high"]
    one_by_one = [parsed(key, str(i), lambda *_, i=i: 3 + (i == 0)) for i in range(5)]
    near = score(key, one_by_one)["questions"]["action"]["scores"]["northern"]
    assert 0 < near["high"] - near["low"] < figure["high"] - figure["low"]


def test_interval_varies_over_raters_and_over_prompts(study: Study) -> None:
    key = read(Key, study().key)
    by_rater = [parsed(key, str(i), lambda *_, i=i: 1 + i) for i in range(5)]
    prompts = sorted({item.prompt for item in key.items})
    by_prompt = [parsed(key, str(i), lambda _s, prompt, _q: 1 + 2 * prompts.index(prompt)) for i in range(5)]
    for raters in (by_rater, by_prompt):
        figure = score(key, raters)["questions"]["scene"]["scores"]["southern"]
        assert figure["high"] - figure["low"] > 20


def test_who_fails_a_check_is_left_out_and_named(study: Study) -> None:
    key = read(Key, study(checks=1).key)
    good, bad = parsed(key, "good", lambda *_: 5), answers(key, "bad", lambda *_: 1)
    check = next(item.id for item in key.items if item.asked)
    bad["answers"][check]["left"]["scene"] = 6 - bad["answers"][check]["left"]["scene"] or 1
    if bad["answers"][check]["left"]["scene"] == 3:
        bad["answers"][check]["left"]["scene"] = 4
    found = score(key, [good, Ratings.model_validate(bad)])
    assert found["raters"] == ["good"]
    assert found["left_out"] == {"bad": 1}
    assert found["questions"]["scene"]["scores"]["northern"]["mean"] == 100
    assert found["pairs"] == 3
    with pytest.raises(UserError, match="none left"):
        score(key, [Ratings.model_validate(bad)])


def test_files_that_must_not_be_counted_are_named(study: Study, tmp_path: Path) -> None:
    made = study()
    key = read(Key, made.key)
    good = write(tmp_path / "good.json", answers(key, "Anna B", lambda *_: 3))
    assert [one.rater for one in read_ratings(key, [good])] == ["Anna B"]

    def refused(match: str, name: str, change: Callable[[dict[str, Any]], object]) -> None:
        data = answers(key, "Carl", lambda *_: 3)
        change(data)
        with pytest.raises(UserError, match=match) as error:
            read_ratings(key, [good, write(tmp_path / name, data)])
        assert name in str(error.value)
        assert "\n" not in str(error.value)

    refused("of study 0000, the key is of", "other.json", lambda d: d.update(study="0000"))
    refused("2 of 3 pairs", "part.json", lambda d: d["answers"].pop("pair-002"))
    refused("2 of 3 pairs", "open.json", lambda d: d["answers"]["pair-002"]["left"].pop("scene"))
    refused("rater 'anna  b' has sent .*good.json too", "twice.json", lambda d: d.update(rater="anna  b"))
    refused("less than or equal to 5", "six.json", lambda d: d["answers"]["pair-001"]["left"].update(scene=6))
    refused(
        "'pair-999', which the study has not",
        "more.json",
        lambda d: d["answers"].update({"pair-999": d["answers"]["pair-001"]}),
    )
    (tmp_path / "text.json").write_text("no JSON")
    with pytest.raises(UserError, match=r"text.json: not ratings as the page saves them"):
        read_ratings(key, [tmp_path / "text.json"])
    with pytest.raises(UserError, match="not a key"):
        read(Key, good)


def test_the_spreadsheet_has_every_figure(study: Study) -> None:
    key = read(Key, study().key)
    scores = score(key, [parsed(key, "a", lambda *_: 4), parsed(key, "b", lambda *_: 2)])
    lines = as_csv(scores).splitlines()
    assert lines[0].startswith("question,figure,system,over,value")
    assert len(lines) == 1 + 3 * (2 + 2 + 3 + 1)
    assert any(line.startswith("scene,score,northern,,50.0,") and line.endswith(",2,3") for line in lines)
