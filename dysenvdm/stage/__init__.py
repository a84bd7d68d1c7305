"""The Stage corpus: a small drawn world in which every clip has an exact caption, plan, scene graph and video."""

from dysenvdm.stage.clip import VAL_SEED0, StageClip, sample

__all__ = ["VAL_SEED0", "StageClip", "sample"]
