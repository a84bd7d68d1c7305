"""The metrics that need no planner."""

from dysenvdm.metrics.clipsim import CLIPSIM
from dysenvdm.metrics.motion import MOTION
from dysenvdm.metrics.stage_faithfulness import FAITHFULNESS
from dysenvdm.metrics.video_distances import FID, FVD, FVD_STAGE, IS, KVD

METRICS = (FVD, KVD, IS, FID, CLIPSIM, FAITHFULNESS, FVD_STAGE, MOTION)
