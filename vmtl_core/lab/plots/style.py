"""One look for all pictures: colours that survive colour-blindness, shapes that survive greyscale.

References:
    M. Okabe, K. Ito, *Color Universal Design*, 2008.
"""

from collections.abc import Iterable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# The eight colours of Okabe and Ito; yellow only for areas, it is too light for lines.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, ORANGE, YELLOW, BLACK = "#56B4E9", "#E69F00", "#F0E442", "#000000"

COLOURS = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY]
"""Colours of tasks or methods 0, 1, ..."""
LINES: list[Any] = ["-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (9, 3))]
"""Their line styles, which tell them apart in greyscale."""
MARKERS = ["o", "s", "^", "D", "v", "P"]
"""Their markers."""
INK, GREY = "#1f2328", "#6e7781"

_STYLE: dict[Any, Any] = {
    "figure.dpi": 110,
    "savefig.dpi": 150,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "grid.color": "#d8dee4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "image.cmap": "cividis",
}


def use_style() -> None:
    """Give every picture that follows the look of the book; once, at the top of a chapter."""
    plt.rcParams.update(_STYLE)


def canvas(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (3.2, 2.8), **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes, always (rows, columns); closed, so that a notebook shows it once.

    Args:
        rows, columns: of the grid of panels.
        size: width and height of one panel, inches.
        options: passed to `plt.subplots` (`sharex`, `width_ratios`, ...).
    """
    width, height = columns * size[0], rows * size[1]
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
    )
    plt.close(figure)
    return figure, axes


def label_panels(axes: Iterable[Axes]) -> None:
    """Put (a), (b), ... before the panels' titles, for text that refers to them."""
    for letter, axis in zip("abcdefghijklmnopqrstuvwxyz", axes, strict=False):
        axis.set_title(f"({letter}) {axis.get_title()}".rstrip())
