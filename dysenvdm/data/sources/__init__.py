"""Data sets as they lie on disk: what their official files say, nothing decoded."""

from dysenvdm.data.sources.finding import find

__all__ = ["find"]
