"""What a History keeps, gives and takes back. Models with latents, which are fitted by gradients."""

from typing import Any

import pytest
import torch

import vmtl_core as vmtl

TASK = torch.tensor([0, 1, 1, 0, 1, 0, 1])
X = torch.linspace(-1, 1, 14).reshape(7, 2)
Y = torch.linspace(0, 2, 7)


def model(features: int = 2, hidden: tuple[int, ...] = ()) -> vmtl.MultiTaskELBO:
    encoder = vmtl.GaussianEncoder(2, 2, features, hidden)
    weights = vmtl.GaussianWeights(2, (features,))
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), weights, encoder, task_sizes=[3, 4], sources="own"
    )


def fit(made: vmtl.MultiTaskELBO, steps: int, **options: Any) -> vmtl.History:
    options = {"tolerance": None} | options
    return vmtl.fit(made, X, Y, TASK, steps=steps, progress=False, **options)


def test_a_state_shares_nothing() -> None:
    """Neither what is given nor what is taken changes when the fit goes on."""
    made = model()
    history = fit(made, 3)
    state = history.state_dict()
    again = vmtl.History().load_state_dict(state)
    fit(made, 5, resume=history)
    assert history.step == len(history.terms["elbo"]) == 5
    assert len(state["terms"]["elbo"]) == len(again.terms["elbo"]) == again.step == 3
    assert len(state["alpha"]) == len(state["record_steps"]) == len(again.alpha)
    assert len(again.alpha) < len(history.alpha)
    again.terms["elbo"].append(0.0)
    assert len(state["terms"]["elbo"]) == 3
    assert "elbo=" in repr(history)


def test_a_state_of_another_kind() -> None:
    state = vmtl.History().state_dict()
    del state["alpha"]
    with pytest.raises(ValueError, match="alpha"):
        vmtl.History().load_state_dict(state)
    with pytest.raises(ValueError, match="surplus"):
        vmtl.History().load_state_dict(vmtl.History().state_dict() | {"surplus": 1})


@pytest.mark.parametrize("other", [model(3), model(2, (4,))], ids=["other shapes", "more"])
def test_the_history_of_another_model(other: vmtl.MultiTaskELBO) -> None:
    """Refused by name, and before anything has changed."""
    history = fit(model(), 2)
    before = [p.clone() for p in other.parameters()]
    with pytest.raises(ValueError, match="`resume` must be the History of an earlier fit of this"):
        fit(other, 4, resume=history)
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters()))
    assert history.step == 2


def test_mixing_is_recorded_before_each_update() -> None:
    """(2.4) about `record` times, and at the end; alpha and beta alike."""
    made = model()
    start = made.alpha()
    history = fit(made, 10, record=5)
    assert history.record_steps == [0, 2, 4, 6, 8, 9]
    assert len(history.alpha) == len(history.beta) == 6
    assert torch.equal(history.alpha[0], start)
    assert history.alpha[0].shape == history.beta[0].shape == (2, 3)
    assert not torch.equal(history.alpha[-1], made.alpha())


def test_records_of_many_tasks_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """(2.4) no more numbers of alpha and beta, 12 at a time here, than there is room for."""
    for room, steps_between in ((12 * 5, 2), (12 * 2, 8), (1, 16)):  # powers of two, rounded up
        monkeypatch.setattr("vmtl_core.history.LARGEST_RECORD", room)
        history = fit(model(), 10, record=1000)
        assert history.record_steps == sorted({*range(0, 10, steps_between), 9})


def test_the_bar_of_a_resumed_fit(capfd: pytest.CaptureFixture[str]) -> None:
    """It goes on where the fit does."""
    made = model()
    history = fit(made, 3)
    capfd.readouterr()
    vmtl.fit(made, X, Y, TASK, steps=4, tolerance=None, resume=history)
    shown = capfd.readouterr().err
    assert "3/4" in shown
    assert "4/4" in shown
    assert "0/4" not in shown
