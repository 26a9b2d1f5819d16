"""Pictures of chapter 13, the test."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from vmtl_core.lab.plots.style import BLACK, COLOURS, MARKERS, canvas


def coverage_and_score(
    table: pd.DataFrame, names: Sequence[str], methods: Sequence[str], reference: str
) -> Figure:
    """Coverage of 90 % intervals against the log score, a panel a set, a mark a method.

    Args:
        table: rows of `accuracy.run`: set, method, seed, log_score and calibration; sets with
            numbers as targets, whose calibration is a coverage.
        names: of the sets.
        methods: at most six; one that a set lacks is left out there.
        reference: one of them; scores are means ahead of its.
    """
    found = table.groupby(["set", "method"])[["log_score", "calibration"]].mean()
    figure, axes = canvas(1, len(names), (9.4 / len(names), 3.1), sharey=True)
    for axis, name in zip(axes[0], names, strict=True):
        part = found.loc[name]
        for method, colour, marker in zip(methods, COLOURS, MARKERS, strict=False):
            if method in part.index:
                ahead = part.loc[method, "log_score"] - part.loc[reference, "log_score"]
                cover = part.loc[method, "calibration"]
                axis.plot(ahead, cover, marker=marker, color=colour, ls="none", ms=8, label=method)
        axis.axhline(0.9, color=BLACK, ls="--", lw=1)
        axis.axvline(0, color=BLACK, lw=0.8)
        axis.set_title(name, fontsize=10)
    axes[0, 0].set(ylabel="coverage of 90 % intervals", ylim=(0.7, 1))
    figure.supxlabel(f"log score ahead of {reference}, nats an example", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure
