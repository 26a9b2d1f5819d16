"""Groups of tasks for print and for readers without JavaScript."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from torch import Tensor

from vmtl_core.lab.plots.style import BLACK, BLUE, COLOURS, GREY, LINES, canvas, use_style
from vmtl_core.lab.widgets._groups_model import REACH, Partition

RADIUS = math.sqrt(-2 * math.log(0.1))
"""Of an ellipse that holds 90 %, in standard deviations."""
SHOWN = 0.02
"""Of a membership; a smaller one isn't drawn."""
FLOOR = -15.0
"""In nats: bars that are further behind the hierarchical model leave the axis."""
HALO = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}


@dataclass(frozen=True)
class Panel:
    """One setting.

    Args:
        title: its name.
        points: estimates of the tasks' weights, (T, 2).
        covariance: their uncertainty, (T, 2, 2).
        width: transfer width delta.
        found: the partition with K = 0, 1, ... groups.
        shown: the K that is drawn.
    """

    title: str
    points: Tensor
    covariance: Tensor
    width: float
    found: list[Partition]
    shown: int


def draw(panels: Sequence[Panel]) -> Figure:
    """Two rows (tasks and groups, evidence) by one column for each setting."""
    use_style()
    figure, axes = canvas(2, len(panels), (3.4, 2.9), height_ratios=[1.5, 1])
    for j, panel in enumerate(panels):
        _plane(axes[0, j], panel)
        _bars(axes[1, j], panel)
    axes[0, 0].set_ylabel("second weight")
    axes[1, 0].set_ylabel("nats more than K = 0")
    return figure


def order(member: Tensor) -> list[int]:
    """Groups with more than half a task, as their first members come; (T, C + 1)."""
    sizes, most = member[:, :-1].sum(0), member.argmax(1).tolist()
    used = [k for k in range(len(sizes)) if sizes[k] > 0.5]
    return sorted(used, key=lambda k: (most.index(k) if k in most else len(most), k))


def _plane(axis: Any, panel: Panel) -> None:
    one = panel.found[panel.shown]
    groups = order(one.member)
    for rank, k in enumerate(groups):
        centre, root = one.gathered.loc[k, 0], one.gathered.root[k, 0]
        within = panel.width**2 / (1 + panel.width**2) * torch.eye(2, dtype=root.dtype)
        style = {"color": COLOURS[rank % len(COLOURS)], "ls": LINES[rank % len(LINES)]}
        covariance = root @ root.mT + within
        axis.add_patch(ellipse_of(centre, covariance, lw=2, fill=False, **style))
        axis.plot(*centre.tolist(), marker="+", ms=9, mew=2, color=style["color"])
        top = centre[1] + RADIUS * covariance[1, 1].sqrt()
        letter = axis.text(centre[0].item(), top.item(), chr(ord("A") + rank), color=style["color"])
        letter.set(fontweight="bold", ha="center", va="center", bbox=HALO, clip_on=True)
    for t, (point, covariance) in enumerate(zip(panel.points, panel.covariance, strict=True)):
        shares = [one.member[t, k].item() for k in groups]
        shares.append(1 - sum(shares))
        colours = [*(COLOURS[r % len(COLOURS)] for r in range(len(groups))), GREY]
        most = colours[shares.index(max(shares))]
        axis.add_patch(ellipse_of(point, covariance, fc=most, ec=most, lw=0.8, alpha=0.25))
        _pie(axis, point.tolist(), shares, colours)
    axis.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xlabel="first weight")
    axis.set_title(f"{panel.title}\nK = {panel.shown} shown")


def _pie(axis: Any, at: list[float], shares: list[float], colours: list[str]) -> None:
    start = 0.25
    for share, colour in zip(shares, colours, strict=True):
        if share < SHOWN:
            continue
        turn = 2 * torch.pi * torch.linspace(start, start + share, 40)
        rim = [(0.0, 0.0), *zip(turn.cos().tolist(), turn.sin().tolist(), strict=True)]
        size = max(abs(v) for pair in rim for v in pair)  # matplotlib makes it 1
        axis.plot(*at, marker=rim, ms=9 * size, mew=0, color=colour, zorder=3)
        start += share


def ellipse_of(centre: Tensor, covariance: Tensor, **style: Any) -> Ellipse:
    """Where 90 % of N(centre, covariance) lies."""
    values, vectors = torch.linalg.eigh(covariance)
    wide, high = (2 * RADIUS * values.sqrt()).tolist()
    angle = math.degrees(math.atan2(vectors[1, 0].item(), vectors[0, 0].item()))
    return Ellipse(tuple(centre.tolist()), wide, high, angle=angle, **style)


def _bars(axis: Any, panel: Panel) -> None:
    gains = [one.bound - panel.found[0].bound for one in panel.found]
    best = gains.index(max(gains))
    for k, (gain, one) in enumerate(zip(gains, panel.found, strict=True)):
        face = BLUE if one.holds else "white"
        axis.bar(k, max(gain, FLOOR), color=face, edgecolor=BLACK if k == best else BLUE)
        if gain < FLOOR:
            axis.annotate(f"−{-gain:.0f}", (k, FLOOR), ha="center", va="bottom", fontsize=8)
    axis.plot(best, max(gains), marker="v", color=BLACK, ms=7, clip_on=False)
    axis.axhline(0, color=GREY, lw=1)
    axis.set(xlabel="K (hollow: doesn't hold)", xticks=range(len(gains)))
    axis.set_ylim(FLOOR, max(2.0, 1.15 * max(gains)))
