"""The files of a human study: the key, which says what is what, and what a rater sends back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from planners.dsg import UserError, one_line

KEY_FORMAT: Final = "dysenvdm.study-key/1"
RATINGS_FORMAT: Final = "dysenvdm.ratings/1"
LOWEST, HIGHEST = 1, 5
Rating = Annotated[int, Field(ge=LOWEST, le=HIGHEST)]
Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")

QUESTIONS = {
    "action": ("Action faithfulness", "Does the video show the actions of the text, by the right actors, in order?"),
    "scene": ("Scene richness", "How rich and detailed is the scene?"),
    "movement": ("Movement fluency", "How smooth and natural are the movements?"),
}
"""The paper's three, each with what a rater is asked."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shown(_File):
    """A video as the key knows it; ``sha256`` is that of the original."""

    system: str
    file: str
    sha256: str


class Item(_File):
    """One pair on the page. Of an attention check, ``asked`` is the answer that its text asks for."""

    id: str
    prompt: str
    left: Shown
    right: Shown
    asked: dict[Side, Rating] | None = None


class Key(_File):
    """What the page does not say: which system made which video."""

    format: Literal["dysenvdm.study-key/1"] = KEY_FORMAT
    study: str
    title: str
    seed: int
    systems: tuple[str, ...]
    items: tuple[Item, ...]


class Answer(_File):
    """One rater's answers to a pair: by side and question; seconds that it was on the screen, how often each played."""

    left: dict[str, Rating]
    right: dict[str, Rating]
    seconds: float = Field(ge=0)
    plays: dict[Side, int]


class Ratings(_File):
    """What the page saves."""

    format: Literal["dysenvdm.ratings/1"] = RATINGS_FORMAT
    study: str
    rater: str = Field(min_length=1)
    answers: dict[str, Answer]


_F = TypeVar("_F", Key, Ratings)


def read(kind: type[_F], path: Path) -> _F:
    """A key or a rater's file; raises :class:`UserError` that names the file and the first thing wrong with it."""
    wanted = "a key of dysenvdm study create" if kind is Key else "ratings as the page saves them"
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except ValidationError as error:
        raise UserError(f"{path}: not {wanted} ({one_line(error)}); give the file as it was written") from None
