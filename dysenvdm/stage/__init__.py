"""The Stage corpus: a small drawn world in which every clip has an exact caption, plan, scene graph and video."""

from dysenvdm.stage.clip import STAGE_VERSION, StageClip, sample
from dysenvdm.stage.compositions import SPLITS, VAL_SEED0

__all__ = ["SPLITS", "STAGE_VERSION", "VAL_SEED0", "StageClip", "sample"]
