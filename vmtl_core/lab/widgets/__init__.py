"""Widgets of the book: their arithmetic runs in the browser, with a kernel or without one.

Importing this package imports anywidget; `import vmtl_core` does not.
"""

from vmtl_core.lab.widgets.temperature import TemperatureExplorer

__all__ = ["TemperatureExplorer"]
