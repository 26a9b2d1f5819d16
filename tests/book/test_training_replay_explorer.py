"""The Python side of the training replay: its recording, its numbers, its arguments."""

import copy
import json
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
import traitlets
from ipywidgets.embed import embed_data

import vmtl_core as vmtl
from vmtl_core.lab.datasets import MultiTaskData, clusters, linked_tasks
from vmtl_core.lab.widgets import (
    SCHEDULES,
    TrainingReplay,
    record_replay,
    record_run,
    retrain,
)
from vmtl_core.lab.widgets import _retrain as panel_module
from vmtl_core.lab.widgets._recording import make_model, rounded, snapshot, thinned

LAST = 24
STEPS = thinned(LAST, 6)
NAN = float("nan")


@pytest.fixture(scope="module")
def few() -> MultiTaskData:
    return linked_tasks(seed=2).split(10, seed=2)[0]


@pytest.fixture(scope="module")
def recording(few: MultiTaskData) -> dict[str, Any]:
    return record_replay(few, last=LAST, count=6, transfer=None)


@pytest.fixture
def widget(recording: dict[str, Any]) -> TrainingReplay:
    return TrainingReplay(**copy.deepcopy(recording))


@pytest.mark.parametrize("sources", ["own", "previous", "joint"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_what_is_recorded_is_what_a_direct_fit_gives(
    few: MultiTaskData, recording: dict[str, Any], schedule: str, sources: str
) -> None:
    """Parameters after s steps, and the terms of step s, of one fit that never stopped."""
    run = next(
        run for run in recording["runs"] if (run["schedule"], run["sources"]) == (schedule, sources)
    )
    for i in (0, 2, len(STEPS) - 1):
        model = make_model(few, schedule, sources, LAST, transfer=None)
        if STEPS[i] > 0:
            vmtl.fit(
                model, few.x, few.y, few.task, STEPS[i], lr=0.1, progress=False, tolerance=None
            )
        for name, value in snapshot(model).items():
            assert run[name] is None if value is None else run[name][i] == rounded(value.flatten())
        further = make_model(few, schedule, sources, LAST, transfer=None)
        history = vmtl.fit(
            further, few.x, few.y, few.task, STEPS[i] + 1, lr=0.1, progress=False, tolerance=None
        )
        for name, values in run["terms"].items():
            assert values[i] == rounded(history.terms[name][STEPS[i]])
    assert run["mean"][0] != run["mean"][-1], "something is learned"


def test_the_fits_of_the_grid_differ(recording: dict[str, Any]) -> None:
    last = [tuple(run["mean"][-1]) for run in recording["runs"]]
    assert len(set(last)) == 9


@pytest.mark.parametrize("transfer", ["learned", "stationary"])
@pytest.mark.parametrize("sources", ["own", "joint"])
def test_the_numbers_shown_are_those_of_the_model(
    few: MultiTaskData, sources: str, transfer: str
) -> None:
    """phi, KL, prior density from rounded numbers against the fitted model, base and width learned."""
    model = make_model(few, "exponential", sources, LAST, transfer=transfer)
    vmtl.fit(model, few.x, few.y, few.task, LAST, lr=0.1, progress=False, tolerance=None)
    run = record_run(few, "exponential", sources, steps=STEPS, transfer=transfer)
    names: dict[str, Any] = {"tasks": few.task_names, "inputs": few.input_names}
    widget = TrainingReplay(**names, steps=STEPS, runs=[run])
    assert widget.step == LAST

    def near(found: torch.Tensor, expected: torch.Tensor) -> None:
        torch.testing.assert_close(found, expected.double(), atol=3e-3, rtol=3e-3)

    near(widget.alpha, model.alpha())
    near(widget.phi, model.responsibilities())
    prior = model.weights_prior()
    near(widget.log_prior, prior.log_prob(model.q_weights().mean).detach())
    components = model.prior.components(model.source_weights())
    bound = vmtl.kl_to_mixture(
        model.q_weights(), components, model.prior.mixing.log_probabilities(), method="jensen"
    )
    near(widget.kl, bound.detach())


@pytest.mark.parametrize("sources", ["own", "joint"])
def test_few_tasks_of_many_are_those_of_the_whole_model(sources: str) -> None:
    """phi, KL and prior density of three of nine tasks, the other six summed, against the model."""
    train, _ = clusters(tasks=9, clusters=3, inputs=2, between_sd=0.3).split()
    show, hidden = [7, 0, 4], [1, 2, 3, 5, 6, 8]
    model = make_model(train, "constant", sources, LAST, intercept=True)
    vmtl.fit(model, train.x, train.y, train.task, LAST, lr=0.1, progress=False, tolerance=None)
    recording = record_replay(
        train, ["constant"], [sources], last=LAST, count=4, show=show, intercept=True
    )
    widget = TrainingReplay(**recording)
    assert widget.columns == ["task 7", "task 0", "task 4", "6 others", "base"]
    assert widget.inputs == [*train.input_names, "intercept"]

    def summed(table: torch.Tensor) -> torch.Tensor:
        rows = table[show]
        return torch.cat([rows[:, show], rows[:, hidden].sum(1, keepdim=True), rows[:, 9:]], 1)

    def near(found: torch.Tensor, expected: torch.Tensor) -> None:
        torch.testing.assert_close(found, expected.double().detach(), atol=3e-3, rtol=3e-3)

    near(widget.alpha, summed(model.alpha()))
    near(widget.alpha.sum(1), torch.ones(3))
    near(widget.phi, summed(model.responsibilities()))
    near(widget.phi.sum(1), torch.ones(3))
    prior, q = model.weights_prior(), model.q_weights()
    near(widget.log_prior, prior.log_prob(q.mean)[show])
    components = model.prior.components(model.source_weights())
    log_alpha = model.prior.mixing.log_probabilities()
    near(widget.kl, vmtl.kl_to_mixture(q, components, log_alpha, method="jensen")[show])
    drawn, others = widget.components, components.mean[hidden]
    near(drawn.mean[3], others.mean(0))
    near(drawn.variance[3], components.variance[hidden].mean(0) + others.var(0, unbiased=False))

    retrain(widget, train, "cosine", sources, show=show, intercept=True)
    assert widget.name == f"new: cosine, jensen, seed 0, {sources}"
    with pytest.raises(ValueError, match="`data` must have the tasks and inputs of the widget"):
        retrain(widget, train, "cosine", sources)


@pytest.mark.parametrize("show", [[1], [0, 0], [0, 9], [-1, 2]])
def test_bad_choices_of_tasks_are_refused(few: MultiTaskData, show: list[int]) -> None:
    with pytest.raises(ValueError, match="`show` must be at least two different tasks of 0"):
        record_replay(few, show=show)


def test_an_ellipse_holds_ninety_per_cent(widget: TrainingReplay) -> None:
    draws = widget.posterior.sample((20_000,))
    x, y, a, b = widget.ellipses.T
    inside = ((draws[..., 0] - x) / a) ** 2 + ((draws[..., 1] - y) / b) ** 2 <= 1
    assert ((inside.double().mean(0) - 0.9).abs() < 5 * math.sqrt(0.09 / 20_000)).all()


def test_the_terms_add_up(widget: TrainingReplay) -> None:
    for run in range(9):
        widget.run = run
        terms = widget.terms
        total = terms["log_likelihood"] - terms["kl_weights"] + terms["hyperprior"]
        assert terms["elbo"] == pytest.approx(total, abs=0.02)
        schedule = SCHEDULES[widget.runs[run]["schedule"]](LAST)
        assert terms["temperature"] == pytest.approx(schedule(LAST), rel=1e-3)


def test_thinned_steps_hold_both_ends_and_get_sparser() -> None:
    steps = thinned(120)
    assert (steps[0], steps[-1], len(steps)) == (0, 120, 31)
    gaps = [b - a for a, b in pairwise(steps)]
    assert gaps[0] == 1
    assert gaps[-1] == max(gaps)


def test_a_full_recording_is_small_and_strict_json(widget: TrainingReplay) -> None:
    full = copy.deepcopy(widget.runs)
    S = 31
    for run in full:
        for name in ("alpha", "mean", "sd", "source_mean", "source_sd", "base_mean", "base_sd"):
            run[name] = run[name] and (run[name] * 6)[:S]
        run["width"] = run["base_mean"]
        run["terms"] = {name: (values * 6)[:S] for name, values in run["terms"].items()}
    large = TrainingReplay(widget.tasks, widget.inputs, list(range(S)), full, widget.truth)
    state = embed_data(views=[large], drop_defaults=False)["manager_state"]["state"]
    assert len(json.dumps(state[large.model_id], allow_nan=False)) < 250_000


def changed(recording: dict[str, Any], name: str, value: Any, run: int = 0) -> dict[str, Any]:
    runs = copy.deepcopy(recording["runs"])
    runs[run][name] = value
    return {"runs": runs}


BAD: list[tuple[Any, str]] = [
    (lambda r: {"tasks": ["one"]}, r"`tasks` must be at least two names; got \['one'\]"),
    (lambda r: {"inputs": ["a", 3]}, "`inputs` must be at least two names"),
    (lambda r: {"steps": [0, 5, 5]}, r"`steps` must be at least two whole numbers, increasing"),
    (lambda r: {"steps": [0]}, "`steps`"),
    (lambda r: {"steps": [0.5, 1]}, "`steps`"),
    (lambda r: {"steps": [0, 1]}, r"`runs` must hold finite numbers of shape \(2, 12\) as `alpha`"),
    (lambda r: {"runs": []}, "`runs` must hold at least one run"),
    (lambda r: {"runs": [r["runs"][0]] * 2}, "`runs` must differ .* come more than once"),
    (lambda r: {"runs": [{"schedule": "x"}]}, "`runs` must be what `record_run` gives; run 0"),
    (lambda r: {"runs": ["x"]}, "`runs` must be what `record_run` gives"),
    (
        lambda r: changed(r, "mean", [[0.0] * 5] * 6),
        r"shape \(6, 6\) as `mean`; run 0 has \(6, 5\)",
    ),
    (lambda r: changed(r, "mean", [[NAN] * 6] * 6), "as `mean`"),
    (lambda r: changed(r, "sd", None), "as `sd`; run 0 has None"),
    (lambda r: changed(r, "sd", [[-1.0] * 6] * 6), "standard deviations > 0; run 0 has in `sd`"),
    (lambda r: changed(r, "source_sd", None), "`source_mean` and `source_sd` or neither"),
    (lambda r: changed(r, "terms", {"elbo": [1.0]}), "6 finite numbers for every term"),
    (lambda r: {"others": -1}, "`others` must be a whole number"),
    (lambda r: {"others": 4}, r"`alpha`; run 0 has \(6, 12\)"),
    (lambda r: changed(r, "rest", [[1.0] * 10] * 6), "`rest` exactly where there are `others`, 0"),
    (lambda r: {"truth": [[1, 2]]}, r"`truth` must be finite numbers of shape \(3, 2\)"),
    (lambda r: {"run": 9}, r"`run` must be a whole number in 0\.\.\.8; got 9"),
    (lambda r: {"position": 6}, r"`position` must be a whole number in 0\.\.\.5"),
    (lambda r: {"task": -1}, "`task`"),
    (lambda r: {"axes": [1, 1]}, r"`axes` must be two of 0\.\.\.1; got \[1, 1\]"),
    (lambda r: {"axes": [0, 2]}, "`axes`"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_named(recording: dict[str, Any], arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingReplay(**(recording | arguments(recording)))


def test_a_refused_assignment_changes_nothing(widget: TrainingReplay) -> None:
    for name, value in {"run": 99, "position": -1, "task": 3, "runs": [], "steps": [1, 2]}.items():
        before = getattr(widget, name)
        with pytest.raises((ValueError, traitlets.TraitError), match=name):
            setattr(widget, name, value)
        assert getattr(widget, name) == before


def test_bad_recordings_are_refused(few: MultiTaskData) -> None:
    with pytest.raises(ValueError, match=r"`schedule` must be one of .* got 'quadratic'"):
        record_replay(few, ["quadratic"])
    with pytest.raises(ValueError, match="`sources` must be one of"):
        record_replay(few, sources=["others"])
    line = clusters(tasks=2, clusters=1, inputs=1)
    with pytest.raises(ValueError, match=r"`data` must have at least two inputs, .* got 1"):
        record_replay(line)


def test_choose_and_repr(widget: TrainingReplay) -> None:
    widget.choose("cosine", "joint")
    assert repr(widget) == "TrainingReplay(tasks=3, runs=9, run='cosine, joint', step=24)"
    with pytest.raises(ValueError, match="`schedule` and `sources` must be those of a recorded"):
        widget.choose("linear", "own")


def test_static_figure_holds_the_three_settings(widget: TrainingReplay) -> None:
    figure = widget.static_figure()
    titles = [axis.get_title() for axis in figure.axes[:3]]
    assert [title.splitlines()[0] for title in titles] == [
        f"τ constant, sources {sources}" for sources in ("own", "previous", "joint")
    ]
    assert widget.run == 0, "drawing leaves the widget as it was"
    printed = {text.get_text() for text in figure.axes[1].texts}
    widget.run = 1
    assert f"{widget.phi[0, 1]:.2f}" in printed


def test_train_again_adds_a_run_and_shows_it(few: MultiTaskData, widget: TrainingReplay) -> None:
    retrain(widget, few, "cosine", "joint", divergence="convex", seed=3, transfer=None)
    assert widget.name == "new: cosine, convex, seed 3, joint"
    assert len(widget.runs) == 10
    model = make_model(few, "cosine", "joint", LAST, divergence="convex", transfer=None)
    vmtl.fit(model, few.x, few.y, few.task, LAST, lr=0.1, seed=3, progress=False, tolerance=None)
    assert widget.runs[9]["mean"][-1] == rounded(model.q_weights().mean.flatten())
    first = widget.runs[:9]
    for seed in (3, 4, 5, 6, 7):
        retrain(widget, few, "cosine", "joint", divergence="convex", seed=seed, transfer=None)
    assert len(widget.runs) == 9 + panel_module.KEPT, "the oldest goes"
    assert widget.runs[:9] == first, "the recording stays"
    assert widget.run == len(widget.runs) - 1
    with pytest.raises(ValueError, match="`data` must have the tasks and inputs of the widget"):
        retrain(widget, clusters(tasks=3))
