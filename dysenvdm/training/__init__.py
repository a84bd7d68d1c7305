"""Native DeepSpeed training: :func:`run` trains a recipe, on one rank or under the ``deepspeed`` launcher."""

from dysenvdm.training.loop import run

__all__ = ["run"]
