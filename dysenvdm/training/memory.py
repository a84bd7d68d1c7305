"""Out of memory, in words that help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from planners.dsg import UserError

if TYPE_CHECKING:
    from dysenvdm.training.recipe import Recipe


@contextmanager
def lack_named(micro: int, share: int, *, checkpointed: bool) -> Iterator[None]:
    """Turn running out of memory into a :class:`UserError` that says which number to lower.

    ``micro``: samples at once; ``share``: samples of a rank and step, which they must divide.
    """
    smaller = max((n for n in range(1, micro) if share % n == 0), default=None)
    ways = [f"lower train.micro_batch from {micro} to {smaller}"] if smaller else []
    ways += [] if checkpointed else ["set train.checkpoint_activations: true"]
    ways += ["take a higher ZeRO stage, with offload", "lower data.size or data.frames"] if len(ways) < 2 else []
    with _named("", ways):
        yield


@contextmanager
def look_named(recipe: Recipe, what: str) -> Iterator[None]:
    """The same for ``what`` looks at the model between steps: validation, or the sample sheet."""
    ways = (
        [f"lower log.at_once from {recipe.log.at_once}"]
        if recipe.phase == "denoiser" and recipe.log.at_once > 1
        else []
    )
    ways += [
        "train on a GPU with more memory, or on more of them with a higher ZeRO stage",
        "lower data.size or data.frames",
    ]
    with _named(f" in {what}", ways):
        yield


@contextmanager
def _named(where: str, ways: list[str]) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        on_gpu = isinstance(error, torch.OutOfMemoryError)
        if not (on_gpu or isinstance(error, MemoryError) or "can't allocate memory" in str(error)):
            raise
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"out of {'GPU memory' if on_gpu else 'RAM'}{where}: {', or '.join(ways)} ({said})") from None
