"""Prompts x planners -> one report: plans, videos from them, figures with their uncertainty (docs/compare.md)."""

from dysenvdm.studies.comparison.run import Comparison, VideoOptions, run

__all__ = ["Comparison", "VideoOptions", "run"]
