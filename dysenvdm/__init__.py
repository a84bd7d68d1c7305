"""Everything that turns a dynamic scene graph and a text into pixels, and measures it. Imports planners.dsg only."""

__version__ = "0.1.0"
