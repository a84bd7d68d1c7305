"""How a step's samples are shared out among ranks and micro-batches."""

from __future__ import annotations

from dysenvdm.training.sections import TrainSection
from planners.dsg import UserError


def micro_batches(train: TrainSection, ranks: int) -> tuple[int, int]:
    """(samples of a micro-batch, micro-batches of a rank's step); raises :class:`UserError` where they cannot."""
    if train.batch_size % ranks:
        raise UserError(f"train.batch_size: {train.batch_size} cannot be shared by {ranks} ranks; use a multiple")
    share = train.batch_size // ranks
    micro = min(train.micro_batch or share, share)
    if share % micro:
        raise UserError(f"train.micro_batch: {micro} does not divide the {share} samples of a rank")
    parts = share // micro
    if train.stills and train.stills_batch % (ranks * parts):
        raise UserError(
            f"train.stills_batch: {train.stills_batch} cannot be shared by {ranks} ranks with {parts} "
            f"micro-batches each; use a multiple of {ranks * parts}"
        )
    return micro, parts
