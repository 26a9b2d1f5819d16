"""The temperature figure for print and for readers without JavaScript."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

if TYPE_CHECKING:
    from vmtl_core.lab.widgets.temperature import TemperatureExplorer

COLOURS = ["#0b5fae", "#c2410c", "#007a5a", "#8e2f8a", "#7d6200", "#1b7fb8", "#3f3f46", "#c2335f"]
DASHES: list[Any] = [
    (0, (7, 3)), (0, (2, 3)), (0, (9, 3, 2, 3)), (0, (5, 5)),
    (0, (12, 3)), (0, (1, 4)), (0, (9, 3, 2, 3, 2, 3)), (0, (4, 2)),
]  # fmt: skip
INK = "#1f2328"


def draw(widget: "TemperatureExplorer", taus: Sequence[float]) -> Figure:
    """Three rows (heat map, draws, prior) by one column for each temperature."""
    figure, axes = plt.subplots(
        3, len(taus), figsize=(3.4 * len(taus), 8.2), squeeze=False, layout="constrained"
    )
    columns = [*widget.tasks, "base"] if widget.base else list(widget.tasks)
    for j, tau in enumerate(taus):
        _heat_map(axes[0, j], widget, columns, tau)
        _strips(axes[1, j], widget, columns, tau)
        _prior(axes[2, j], widget, columns, tau)
    for row in (1, 2):
        for axis in axes[row, 1:]:
            axis.tick_params(labelleft=False)
    handles, labels = axes[2, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    plt.close(figure)  # the caller shows it once, as the value of the cell
    return figure


def _heat_map(axis: Any, widget: "TemperatureExplorer", columns: list[str], tau: float) -> None:
    weights = widget.samples(tau)[0].numpy()
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
    box = Rectangle((-0.5, widget.task - 0.5), len(columns), 1, fill=False, ec=INK, lw=2.5)
    axis.add_patch(box).set_clip_on(False)
    axis.set_xticks(range(len(columns)), columns, fontsize=8)
    axis.set_yticks(range(len(weights)), widget.tasks, fontsize=8)
    axis.tick_params(length=0)
    axis.grid(False)
    axis.set_title(f"τ = {tau:g}\none draw of α", fontsize=11)


def _strips(axis: Any, widget: "TemperatureExplorer", columns: list[str], tau: float) -> None:
    sources = [k for k in range(len(columns)) if k != widget.task]
    samples = widget.samples(tau)[:, widget.task].numpy()
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
    title = f"{widget.draws} draws for {widget.tasks[widget.task]}\n(bar and number: their mean)"
    axis.set_title(title, fontsize=10)


def _prior(axis: Any, widget: "TemperatureExplorer", columns: list[str], tau: float) -> None:
    means, sds = torch.tensor(widget.means), torch.tensor(widget.sds)
    x = torch.linspace((means - 3.5 * sds).min().item(), (means + 3.5 * sds).max().item(), 241)
    weights = widget.samples(tau)[0, widget.task].tolist()
    for k, name in enumerate(columns):
        if k == widget.task:
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
        widget.prior_density(x, tau).numpy(),
        color=INK,
        lw=2,
        label="prior: their sum",
        zorder=1,
    )
    axis.set_ylim(0, 0.42 / sds.min().item())
    axis.set_xlabel("value of the weight w", fontsize=9)
    axis.set_title(f"prior of {widget.tasks[widget.task]}", fontsize=10)
