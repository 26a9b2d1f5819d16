"""Pictures of the book: one module a chapter, and in `style` the look that they share.

Every function takes data and returns a matplotlib Figure, closed already, so that a notebook shows
it once, as the value of its cell.
"""

from vmtl_core.lab.plots.style import use_style

__all__ = ["use_style"]
