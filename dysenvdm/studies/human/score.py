"""Figures of a human study: scores in percent, preferences, intervals, agreement.

A rating from 1 to 5 counts as 0, 25, 50, 75 or 100 %, a system's score is the mean of its videos' ratings. Whom a
rater prefers in a pair follows from the two ratings; a tie counts as half a win. Intervals are 95 % bootstrap intervals
over raters and prompts, both drawn anew: they say how other raters might have judged videos of other prompts. Agreement
is Krippendorff's ordinal alpha over all rated videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dysenvdm.studies.human.agreement import krippendorff_alpha
from dysenvdm.studies.human.files import HIGHEST, LOWEST, QUESTIONS, SIDES, Answer, Item, Key, Ratings, read
from planners.dsg import UserError

RESAMPLES = 2000
SCORES_FORMAT = "dysenvdm.study-scores/1"


def read_ratings(key: Key, files: Sequence[Path]) -> list[Ratings]:
    """Every rater's file, checked against the key; raises :class:`UserError` for the first that does not fit."""
    raters: dict[str, Path] = {}
    found = []
    items = {item.id for item in key.items}
    for path in files:
        ratings = read(Ratings, path)
        if ratings.study != key.study:
            raise UserError(f"{path}: ratings of study {ratings.study}, the key is of {key.study}; leave it out")
        unknown = sorted(ratings.answers.keys() - items)
        if unknown:
            raise UserError(f"{path}: answers to {unknown[0]!r}, which the study has not; leave the file out")
        done = sum(_whole(ratings.answers.get(item)) for item in items)
        if done < len(items):
            raise UserError(f"{path}: {done} of {len(items)} pairs are answered; have it finished or leave it out")
        name = " ".join(ratings.rater.split()).casefold()
        if name in raters:
            raise UserError(f"{path}: rater {ratings.rater!r} has sent {raters[name]} too; leave one of them out")
        raters[name] = path
        found.append(ratings)
    return found


def _whole(answer: Answer | None) -> bool:
    return answer is not None and answer.left.keys() == answer.right.keys() == QUESTIONS.keys()


def failed_checks(key: Key, ratings: Ratings) -> int:
    """Attention checks that the rater did not answer as asked."""
    checks = [item for item in key.items if item.asked]
    return sum(
        any(_of(ratings, item, s, q) != (item.asked or {})[s] for s in SIDES for q in QUESTIONS) for item in checks
    )


def _of(ratings: Ratings, item: Item, side: str, question: str) -> int:
    answers: dict[str, int] = getattr(ratings.answers[item.id], side)
    return answers[question]


def score(key: Key, ratings: Sequence[Ratings], *, seed: int = 0) -> dict[str, Any]:
    """All figures as JSON data; raters who failed an attention check are left out and named."""
    failed = {one.rater: failed_checks(key, one) for one in ratings}
    counted = [one for one in ratings if not failed[one.rater]]
    if not counted:
        raise UserError(f"ratings: none left, {len(ratings)} raters failed attention checks; ask others")
    items = [item for item in key.items if item.asked is None]
    prompts = list(dict.fromkeys(item.prompt for item in items))
    draws = _draws(len(counted), len(prompts), seed)
    told: dict[str, Any] = {
        "format": SCORES_FORMAT,
        "study": key.study,
        "title": key.title,
        "raters": [one.rater for one in counted],
        "left_out": {rater: count for rater, count in failed.items() if count},
        "pairs": len(items),
        "prompts": len(prompts),
        "interval": f"95 % bootstrap over raters and prompts, {RESAMPLES} draws, seed {seed}",
        "questions": {},
    }
    for question, (title, _) in QUESTIONS.items():
        told["questions"][question] = {
            "title": title,
            "scores": {
                name: _figure(_scores(name, question, counted, items, prompts), draws, 100) for name in key.systems
            },
            "preferences": [
                {"system": one, "over": other, **_preference(one, other, question, counted, items, prompts, draws)}
                for one, other in combinations(key.systems, 2)
            ],
            "alpha": _alpha(question, counted, items),
        }
    return told


def _percent(rating: int) -> float:
    return (rating - LOWEST) / (HIGHEST - LOWEST)


def _scores(
    system: str, question: str, raters: Sequence[Ratings], items: Sequence[Item], prompts: Sequence[str]
) -> NDArray[np.float64]:
    """Mean ratings (raters, prompts) of a system, in [0, 1]."""
    places = [(item, side) for item in items for side in SIDES if getattr(item, side).system == system]
    return _table(
        prompts, [(item, [_percent(_of(one, item, side, question)) for one in raters]) for item, side in places]
    )


def _table(prompts: Sequence[str], columns: Sequence[tuple[Item, Sequence[float]]]) -> NDArray[np.float64]:
    """(raters, prompts): the mean of each prompt's columns."""
    of = {prompt: [values for item, values in columns if item.prompt == prompt] for prompt in prompts}
    return np.stack([np.mean(of[prompt], axis=0) for prompt in prompts], axis=1)


def _draws(raters: int, prompts: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    return rng.integers(raters, size=(RESAMPLES, raters)), rng.integers(prompts, size=(RESAMPLES, prompts))


def _figure(
    table: NDArray[np.float64], draws: tuple[NDArray[np.int64], NDArray[np.int64]], times: float = 1
) -> dict[str, float]:
    """Mean of (raters, prompts) and its interval, the same draws for every figure, so that differences are paired."""
    rows, columns = draws
    means = [table[np.ix_(r, c)].mean() for r, c in zip(rows, columns, strict=True)]
    low, high = np.quantile(means, [0.025, 0.975])
    return {"mean": times * float(table.mean()), "low": times * float(low), "high": times * float(high)}


def _preference(
    one: str,
    other: str,
    question: str,
    raters: Sequence[Ratings],
    items: Sequence[Item],
    prompts: Sequence[str],
    draws: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> dict[str, Any]:
    """How often ``one`` is preferred to ``other``, a tie being half, and by how many percent points it is ahead."""
    ahead = []
    for item in items:
        if {item.left.system, item.right.system} == {one, other}:
            sign = 1 if item.left.system == one else -1
            lead = [sign * (_of(r, item, "left", question) - _of(r, item, "right", question)) for r in raters]
            ahead.append((item, lead))
    every = np.array([lead for _, lead in ahead])
    wins = _table(prompts, [(item, [(np.sign(x) + 1) / 2 for x in lead]) for item, lead in ahead])
    points = _table(prompts, [(item, [x / (HIGHEST - LOWEST) for x in lead]) for item, lead in ahead])
    return {
        "wins": int((every > 0).sum()),
        "ties": int((every == 0).sum()),
        "losses": int((every < 0).sum()),
        "preferred": _figure(wins, draws),
        "points_ahead": _figure(points, draws, 100),
    }


def _alpha(question: str, raters: Sequence[Ratings], items: Sequence[Item]) -> float | None:
    table = [[_of(one, item, side, question) for item in items for side in SIDES] for one in raters]
    return krippendorff_alpha(np.array(table, dtype=float))
