"""The pictures, the stored results and the claims of chapter 7."""

import pytest
import torch
from torch.distributions import Independent, Normal

import vmtl_core as vmtl
from vmtl_core.lab.datasets import linked_tasks
from vmtl_core.lab.experiments.linked import METHODS, compare, fit_model, predict_with, results
from vmtl_core.lab.plots import chapter_07 as plots
from vmtl_core.lab.plots.style import COLOURS, LINES, MARKERS, canvas, label_panels, use_style

FEW = linked_tasks(seed=0).split(10, seed=0)[0]


def posterior(tasks: int = 3) -> Independent:
    return Independent(Normal(torch.randn(tasks, 2), torch.full((tasks, 2), 0.5)), 1)


def test_style_tells_tasks_apart_without_colour() -> None:
    use_style()
    assert len(COLOURS) == len({str(line) for line in LINES}) == len(set(MARKERS))
    figure, axes = canvas(1, 2)
    label_panels(axes[0])
    assert [axis.get_title() for axis in figure.axes] == ["(a)", "(b)"]


def test_planes_have_a_panel_for_each_model_and_task() -> None:
    q = posterior()
    models = {name: lambda x, task: predict_with(q, x, task) for name in ("one", "other")}
    for draw in (plots.boundaries, plots.epistemic):
        figure = draw(models, FEW, grid=7)
        assert len(figure.axes) == 2 * 3 + 1  # and the colour bar
    assert len(plots.points(FEW).axes) == 3
    assert len(plots.overview(models, FEW, {"a": torch.eye(3), "b": torch.eye(3, 4)}).axes) == 9


def test_ellipses_hold_what_they_say() -> None:
    w = torch.randn(100_000, 2)
    assert (w.norm(dim=1) < plots.NINETY).float().mean().item() == pytest.approx(0.9, abs=0.01)


def test_prior_is_drawn_without_the_receivers_own_posterior() -> None:
    matrix = torch.full((3, 4), 1 / 3)
    figure = plots.prior_in_weight_space(
        posterior(4), matrix, matrix, posterior(3), torch.zeros(3, 2), receivers=(0, 2)
    )
    for t, axis in zip((0, 2), figure.axes, strict=True):
        legend = axis.get_legend()
        assert legend is not None
        labels = [text.get_text() for text in legend.get_texts()]
        assert len(labels) == 3
        assert not any(label.startswith(f"task {t}:") for label in labels)
        assert len(axis.patches) == 4


def test_pictures_of_a_fit() -> None:
    model, history = fit_model(FEW)
    assert history.method == "coordinate"
    assert len(plots.training(history, FEW.task_names).axes) == 3
    assert len(plots.maps({"alpha": model.alpha()}, FEW.task_names).axes) == 1
    schedules = {"constant": vmtl.constant(1.0), "linear": vmtl.linear_decay(1, 0.1, 5)}
    (axis,) = plots.schedules(schedules, steps=5).axes
    assert [line.get_label() for line in axis.lines] == ["constant", "linear"]


def test_predictive_is_the_average_over_the_posterior() -> None:
    """(6.2) for a posterior so narrow that it is a point."""
    q = Independent(Normal(torch.tensor([[1.0, 2.0], [0.0, 3.0]]), 1e-6), 1)
    x, task = torch.tensor([[1.0, 0.5], [1.0, 0.5]]), torch.tensor([0, 1])
    found = predict_with(q, x, task).mean
    torch.testing.assert_close(found, torch.tensor([2.0, 1.5]).sigmoid(), atol=1e-4, rtol=0)


def test_stored_results_are_complete() -> None:
    table = results()
    counts = table.groupby(["n", "method", "task"])["seed"].nunique()
    assert (counts >= 10).all()
    assert len(counts) == 2 * len(METHODS) * 3
    assert set(table["method"]) == set(METHODS)
    assert len(plots.comparison(table, METHODS, n=(10, 480)).axes) == 6


def test_stored_results_are_what_the_code_gives() -> None:
    again = compare(10, 3, methods=("pooled", "single", "paper"))
    both = again.merge(results(), on=["n", "seed", "method", "task"], suffixes=("", "_stored"))
    assert len(both) == 9
    assert (both["log_score"] - both["log_score_stored"]).abs().max() < 0.02
    assert (both["accuracy"] - both["accuracy_stored"]).abs().max() < 0.02
