"""How often a referee is right, as its folder notes it: every verdict is read beside this."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from planners.dsg import UserError, one_line

FILE = "accuracy.json"


class NotedAccuracy(BaseModel):
    """What was measured on ``clips`` held-out clips, of held-out seeds from number ``first`` on.

    ``shares`` has, by what was done to the clips ("clean" is nothing) and by figure of
    :data:`dysenvdm.stage.verdicts.FIGURES`, what was right of all that was judged and its 95 % bootstrap interval.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    clips: int
    first: int
    shares: dict[str, dict[str, tuple[float, float, float]]]

    def line(self) -> str:
        """For below a table of verdicts: a sentence with the shares of actors and of actions."""
        told = [
            f"{condition} {found['actors'][0]:.3f} / {found['actions'][0]:.3f}"
            for condition, found in self.shares.items()
            if {"actors", "actions"} <= found.keys()
        ]
        return f"The referee is right about actors / actions of {self.clips} held-out clips: {', '.join(told)}"

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def said_of(accuracy: NotedAccuracy | None) -> str:
    """The sentence to put below verdicts."""
    return accuracy.line() if accuracy else "How often this referee is right was never measured"


def noted_accuracy(folder: Path) -> NotedAccuracy | None:
    """What a referee's folder says of itself; None where nobody measured it. Raises UserError for a broken note."""
    try:
        return NotedAccuracy.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        reason = one_line(error) if isinstance(error, ValidationError) else error
        raise UserError(f"{folder / FILE}: {reason}; run: python -m benchmarks.referee --note") from None
