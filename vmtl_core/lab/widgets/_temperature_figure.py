"""The temperature figure for print and for readers without JavaScript."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

COLOURS = ["#0b5fae", "#c2410c", "#007a5a", "#8e2f8a", "#7d6200", "#1b7fb8", "#3f3f46", "#c2335f"]
DASHES: list[Any] = [
    (0, (7, 3)), (0, (2, 3)), (0, (9, 3, 2, 3)), (0, (5, 5)),
    (0, (12, 3)), (0, (1, 4)), (0, (9, 3, 2, 3, 2, 3)), (0, (4, 2)),
]  # fmt: skip
INK = "#1f2328"


@dataclass(frozen=True)
class Panel:
    """One temperature.

    Args:
        tau: the temperature.
        tasks: T names.
        columns: K names of the sources.
        task: the receiver whose row is drawn.
        samples: draws of the weights, shape (draws, T, K).
        means: of the sources' normals for one weight coordinate, shape (K,).
        sds: their standard deviations, shape (K,).
        x: values of that coordinate, shape (n,).
        prior: density there that the first draw makes for `task`, shape (n,).
    """

    tau: float
    tasks: Sequence[str]
    columns: Sequence[str]
    task: int
    samples: Tensor
    means: Tensor
    sds: Tensor
    x: Tensor
    prior: Tensor


def draw(panels: Sequence[Panel]) -> Figure:
    """Three rows (heat map, draws, prior) by one column for each temperature."""
    figure, axes = plt.subplots(
        3, len(panels), figsize=(3.4 * len(panels), 8.2), squeeze=False, layout="constrained"
    )
    for j, panel in enumerate(panels):
        _heat_map(axes[0, j], panel)
        _strips(axes[1, j], panel)
        _prior(axes[2, j], panel)
    for row in (1, 2):
        for axis in axes[row, 1:]:
            axis.tick_params(labelleft=False)
    handles, labels = axes[2, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    plt.close(figure)  # the caller shows it once, as the value of the cell
    return figure


def _heat_map(axis: Any, panel: Panel) -> None:
    weights, columns = panel.samples[0].numpy(), panel.columns
    axis.imshow(weights, cmap="Blues", vmin=0, vmax=1.15)
    for t, row in enumerate(weights.tolist()):
        for k, weight in enumerate(row):
            if k == t:
                box = Rectangle(
                    (k - 0.5, t - 0.5), 1, 1, hatch="////", fill=False, ec="#8a9099", lw=0
                )
                axis.add_patch(box)
                continue
            ink = "white" if weight > 0.65 else INK
            axis.text(k, t, f"{weight:.2f}", ha="center", va="center", color=ink, fontsize=9)
    box = Rectangle((-0.5, panel.task - 0.5), len(columns), 1, fill=False, ec=INK, lw=2.5)
    axis.add_patch(box).set_clip_on(False)
    axis.set_xticks(range(len(columns)), columns, fontsize=8)
    axis.set_yticks(range(len(weights)), panel.tasks, fontsize=8)
    axis.tick_params(length=0)
    axis.grid(False)
    axis.set_title(f"τ = {panel.tau:g}\none draw of α", fontsize=11)


def _strips(axis: Any, panel: Panel) -> None:
    columns = panel.columns
    sources = [k for k in range(len(columns)) if k != panel.task]
    samples = panel.samples[:, panel.task].numpy()
    jitter = torch.rand(len(samples), generator=torch.Generator().manual_seed(0)) - 0.5
    for place, k in enumerate(sources):
        heights = (place + 0.5 * jitter).tolist()
        axis.scatter(samples[:, k], heights, s=5, alpha=0.35, color=COLOURS[k % 8], lw=0)
        mean = float(samples[:, k].mean())
        axis.plot([mean], [place], marker="|", ms=18, mew=2.5, color=INK)
        axis.text(mean, place - 0.33, f"{mean:.2f}", ha="center", va="bottom", fontsize=8)
    axis.set_yticks(range(len(sources)), [columns[k] for k in sources], fontsize=8)
    axis.set_xlim(-0.04, 1.04)
    axis.set_ylim(len(sources) - 0.4, -0.65)
    axis.set_xlabel("weight α", fontsize=9)
    title = f"{len(samples)} draws for {panel.tasks[panel.task]}\n(bar and number: their mean)"
    axis.set_title(title, fontsize=10)


def _prior(axis: Any, panel: Panel) -> None:
    x, means, sds = panel.x, panel.means, panel.sds
    weights = panel.samples[0, panel.task].tolist()
    for k, name in enumerate(panel.columns):
        if k == panel.task:
            continue
        density = torch.distributions.Normal(means[k], sds[k]).log_prob(x).exp()
        axis.plot(
            x.numpy(),
            (weights[k] * density).numpy(),
            color=COLOURS[k % 8],
            ls=DASHES[k % 8],
            label=name,
        )
    axis.plot(
        x.numpy(),
        panel.prior.numpy(),
        color=INK,
        lw=2,
        label="prior: their sum",
        zorder=1,
    )
    axis.set_ylim(0, 0.42 / sds.min().item())
    axis.set_xlabel("value of the weight w", fontsize=9)
    axis.set_title(f"prior of {panel.tasks[panel.task]}", fontsize=10)
