"""Data sets as they lie on disk: what their official files say, nothing decoded."""

from dysenvdm.data.sources.collecting import lot
from dysenvdm.data.sources.finding import LAYOUTS, find

__all__ = ["LAYOUTS", "find", "lot"]
