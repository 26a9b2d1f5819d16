"""When a fit by gradients counts as settled, what seeds its steps, and which rates are allowed."""

import math
import signal
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch

import vmtl_core as vmtl
from vmtl_core import adam
from vmtl_core._random import step_seed
from vmtl_core.adam import settled, whole_steps
from vmtl_core.history import History


def judged(values: list[float], tolerance: float = 0.1) -> bool:
    history = History()
    history.terms["elbo"] = values
    return settled(history, tolerance)


def test_the_last_quarter_against_the_one_before() -> None:
    """Two values each of eight: what came earlier does not count."""
    early = [-100.0, -50.0, -20.0, -9.0]
    assert judged([*early, -1.0, -1.0, -0.95, -0.95])
    assert not judged([*early, -1.0, -1.0, -0.85, -0.85])
    assert judged([*early, -1.0, -1.0, -5.0, -5.0])  # worse than before is no gain
    assert judged([*early, -1.0, -1.0, -0.85, -0.85], tolerance=0.2)
    assert not judged([0.0] * 7)
    assert judged([0.0] * 8)


def test_twice_the_standard_error_is_nothing() -> None:
    """Gains of noise: the error of a mean of n values with variance v is sqrt(v / n)."""
    wave = torch.tensor([1.0, -1.0] * 8, dtype=torch.float64)  # sample variance 16 / 15
    error = float((2 * wave.var() / 16).sqrt())
    for gain, result in ((1.9 * error, True), (2.1 * error, False)):
        values = [0.0] * 32 + wave.tolist() + (wave + gain).tolist()
        assert judged(values, 1e-6) is result


def test_seeds_of_steps_are_far_apart() -> None:
    """Distinct, within 63 bits, and about half of the bits change from one to the next."""
    seeds = [[step_seed(seed, step) for step in range(200)] for seed in range(20)]
    flat = [one for row in seeds for one in row]
    assert len(set(flat)) == len(flat)
    assert all(0 <= one < 2**63 for one in flat)
    assert max(flat) > 2**62
    for pairs in (
        pairwise(flat),
        ((a[7], b[7]) for a, b in pairwise(seeds)),
    ):
        changed = [bin(a ^ b).count("1") for a, b in pairs]
        assert 28 < sum(changed) / len(changed) < 36
        assert min(changed) > 8
    assert step_seed(3, 5) == step_seed(3, 5)
    assert step_seed(-4, 2) >= 0


def constantly(value: float) -> Callable[[float], float]:
    return lambda step: value


def test_rates() -> None:
    """A schedule may end at 0, and nowhere else but at finite numbers above."""
    assert adam._rate(lambda step: 0.0, 3) == 0.0
    assert adam._rate(lambda step: 0.1 * step, 3) == pytest.approx(0.3)
    for wrong in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"`lr` must be a finite number >= 0 .* at step 3"):
            adam._rate(constantly(wrong), 3)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_for_the_end_of_the_step() -> None:
    """And what handled it before handles it again afterwards; an ignored one stays ignored."""
    before = signal.getsignal(signal.SIGINT)
    done = []

    def step() -> None:
        with whole_steps() as stop:
            stop()
            signal.raise_signal(signal.SIGINT)
            done.append("the rest of the step")
            stop()
            done.append("another step")

    with pytest.raises(KeyboardInterrupt):
        step()
    assert done == ["the rest of the step"]
    assert signal.getsignal(signal.SIGINT) is before
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with whole_steps() as stop:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            stop()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_signals_are_let_alone() -> None:
    found: list[Any] = []

    def run() -> None:
        with whole_steps() as stop:
            found.append(signal.getsignal(signal.SIGINT))
            stop()

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [before]


TASK = torch.tensor([0, 0, 1, 1, 1])
X = torch.linspace(-1, 1, 10).view(5, 2)


def a_model() -> vmtl.MultiTaskELBO:
    weights = vmtl.GaussianWeights(2, (2,))
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(0.5), weights, task_sizes=[2, 3], sources="previous"
    )


def fitted(model: vmtl.MultiTaskELBO, steps: int, **options: Any) -> History:
    options = {"tolerance": None, "method": "adam"} | options
    return vmtl.fit(model, X, X.sum(-1), TASK, steps=steps, progress=False, **options)


def test_it_ends_early_only_at_a_low_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a whole hundred of steps, once the rate is below a ninth of the first."""
    asked: list[int] = []

    def judge(history: History, tolerance: float) -> bool:
        asked.append(history.step)
        return tolerance == 7.0

    def late(rate: Any, tolerance: float) -> History:
        """A fit that stands before its last three steps of 101."""
        model = a_model()
        history = fitted(model, 1, lr=rate)
        history.step = 98
        return fitted(model, 101, lr=rate, tolerance=tolerance, resume=history)

    monkeypatch.setattr(adam, "settled", judge)
    history = late(vmtl.exponential_decay(0.09, 0.0001, 100), 7.0)
    assert history.step == 100
    assert history.converged
    assert asked == [100, 100]
    assert late(vmtl.linear_decay(0.09, 0.0101, 99), 7.0).step == 101
    assert late(vmtl.linear_decay(0.09, 0.0099, 99), 7.0).step == 100
    with pytest.warns(vmtl.ConvergenceWarning):
        history = late(0.01, 6.0)
    assert asked[-1] == 101
    assert history.converged is False
    assert fitted(a_model(), 2, lr=0.01).converged is None


def test_rates_follow_the_schedule() -> None:
    """Adam's first step is as long as the rate, whatever the gradient."""
    model = a_model()
    before = [p.detach().clone() for p in model.parameters() if p.requires_grad]
    history = fitted(model, 1, lr=lambda step: 0.05 + step)
    after = [p.detach() for p in model.parameters() if p.requires_grad]
    moves = torch.cat([(a - b).abs().flatten() for a, b in zip(after, before, strict=True)])
    assert float(moves.max()) == pytest.approx(0.05, rel=1e-3)
    assert [group["lr"] for group in history.optimizer["param_groups"]] == [0.05]


def test_the_rate_where_none_is_given() -> None:
    """It begins at .03 and falls along a cosine to a hundredth of that after the last step."""
    rates = []
    for steps in (1, 4):
        history = fitted(a_model(), steps)
        rates += [group["lr"] for group in history.optimizer["param_groups"]]
    share = (1 + math.cos(math.pi * 3 / 4)) / 2  # of the way, at the last of four steps
    assert rates == pytest.approx([0.03, 0.03 * (0.01 + 0.99 * share)])


@pytest.mark.parametrize(("size", "counts"), [(100, [10, 30, 60]), (10, [1, 3, 6]), (3, [1, 1, 1])])
def test_batches_in_proportion(size: int, counts: list[int]) -> None:
    """Floor of every task's share, at least one; rows once each, others at every draw."""
    task = torch.arange(3).repeat_interleave(torch.tensor([10, 30, 60]))[torch.randperm(100)]
    batches = vmtl.StratifiedBatches(task, size)
    rows = [batches.draw() for _ in range(2)]
    for one in rows:
        assert torch.bincount(task[one], minlength=3).tolist() == counts
        assert len(one.unique()) == len(one)
    assert not torch.equal(rows[0], rows[1])
