"""What a fit says of its hyperparameters, and which steps it keeps."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Size, Tensor

from vmtl_core import history as h
from vmtl_core import population, report
from vmtl_core.history import History, Interval


def quantile(values: list[float], weights: list[float], level: float) -> float:
    """The smallest value up to which so much of the weight lies, in a loop."""
    total = 0.0
    for value, weight in sorted(zip(values, weights, strict=True)):
        total += weight / sum(weights)
        if total >= level:
            return value
    return max(values)


def test_weighted_interval() -> None:
    values, weights = torch.randn(60, 2, 3), torch.rand(60) * 5
    found = report.interval(values, weights)
    assert found.low.shape == found.mean.shape == found.high.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            column = values[:, i, j].tolist()
            mean = sum(v * w for v, w in zip(column, weights.tolist(), strict=True))
            assert float(found.mean[i, j]) == pytest.approx(mean / float(weights.sum()))
            assert float(found.low[i, j]) == quantile(column, weights.tolist(), 0.05)
            assert float(found.high[i, j]) == quantile(column, weights.tolist(), 0.95)


def test_interval_of_one_draw() -> None:
    found = report.interval(torch.tensor([[3.0]]), torch.tensor([0.2]))
    assert [float(one) for one in found] == [3.0] * 3
    tiny = report.interval(torch.tensor([[1.0], [2.0]]), torch.tensor([0.99, 0.01]))
    assert float(tiny.high) == 1.0


def reported(draws: int = 5, columns: int = 2, **changes: Any) -> dict[str, Interval]:
    """`report.intervals` of draws whose population mean is known: roots of zero."""
    torch.manual_seed(0)
    log_weights = torch.rand(draws).log_softmax(0)
    noise = torch.randn(draws, 2)
    mean, log_sd = torch.randn(draws, columns, 3), torch.randn(draws, columns, 3)
    root = torch.zeros(draws, columns, 3, 3)
    found = SimpleNamespace(
        draws=SimpleNamespace(
            noise=noise, log_weights=log_weights, mean=mean, log_sd=log_sd, mean_root=root
        ),
        widths=changes.get("widths"),
        width_weights=torch.ones(4),
    )
    learned = torch.tensor([False, True, True])
    own_noise = SimpleNamespace(
        learned=learned, all=lambda free: torch.cat([free.new_full((draws, 1), 9.0), free], 1)
    )
    population = SimpleNamespace(learned=changes.get("learned", True))
    own = SimpleNamespace(noise=own_noise, population=population)
    basis, offset = torch.randn(columns, 3, 3), torch.randn(columns, 3)
    units = SimpleNamespace(basis=basis, offset=offset, target_scale=4.0)
    event = Size((3, columns)) if columns > 1 else Size((3,))
    weights = SimpleNamespace(event_shape=event)
    model = SimpleNamespace(posteriors=SimpleNamespace(weights=weights))
    weighted = report.weighted(
        model,  # type: ignore[arg-type]
        found,  # type: ignore[arg-type]
        SimpleNamespace(own=own),  # type: ignore[arg-type]
        units,  # type: ignore[arg-type]
    )
    result = report.intervals(weighted, found)  # type: ignore[arg-type]
    share = log_weights.exp()
    if "noise_scale" in result:
        torch.testing.assert_close(result["noise_scale"].mean, share @ (4 * noise.exp()))
    if "population_mean" in result:
        in_data = offset + torch.einsum("pij,spj->spi", basis, mean)
        spread = torch.einsum("pij,spj->spi", basis.square(), (2 * log_sd).exp()).sqrt()
        for name, values in (("population_mean", in_data), ("population_sd", spread)):
            wanted = torch.einsum("s,spi->ip", share, values)
            torch.testing.assert_close(result[name].mean, wanted.reshape(event))
    return result


@pytest.mark.parametrize("columns", [1, 2])
def test_hyperparameters_in_units_of_the_data(columns: int) -> None:
    """o + B m_0, the diagonal of B S_0 B', b sigma; the widths as they are, of equal weight."""
    widths = torch.randn(4, columns, 3)
    result = reported(columns=columns, widths=widths)
    assert set(result) == {"noise_scale", "population_mean", "population_sd", "transfer_width"}
    shape = (3, columns) if columns > 1 else (3,)
    wanted = widths.exp().mean(0).T.reshape(shape)
    torch.testing.assert_close(result["transfer_width"].mean, wanted)


def test_only_what_is_learned_is_reported() -> None:
    assert set(reported(learned=False)) == {"noise_scale"}


def a_history() -> History:
    made = History()
    made.method, made.step, made.converged = "adam", 12, True
    made.terms["elbo"] = [-3.0, -1.23456]
    made.hyperparameters = {
        "noise_scale": Interval(*(torch.tensor([v]) for v in (0.5, 0.25, 0.75))),
        "sd": Interval(*(torch.tensor([v, v + 1]) for v in (1.0, 0.5, 2.0))),
    }
    made.record_steps = [0, 4, 6, 8, 12]
    made.alpha = [torch.full((2, 2), float(i)) for i in made.record_steps]
    return made


def test_summary() -> None:
    lines = a_history().summary().splitlines()
    assert lines[0] == "adam: 12 steps, settled; elbo -1.235"
    assert [" ".join(line.split()) for line in lines[1:]] == [
        "noise_scale 0.5 [0.25, 0.75]",
        "sd[0] 1 [0.5, 2]",
        "sd[1] 2 [1.5, 3]",
    ]
    assert repr(a_history()) == "History(steps=12, elbo=-1.235)"
    new = History()
    assert new.summary() == ": 0 steps, not judged"
    assert repr(new) == "History(steps=0)"
    new.converged = False
    assert "stopped before it had settled" in new.summary()


def test_one_factor_of_all() -> None:
    """Entries that keep their ratios have one interval, and the summary prints it once."""
    weights = torch.full((60,), 1 / 60)
    factor = torch.randn(60).exp()
    logs = factor.outer(torch.tensor([1.0, 3.0, 0.2])).log().reshape(60, 1, 3)

    def same(logs: Tensor) -> bool:
        found = report.common_factor(logs, weights)
        return found is not None and torch.allclose(found / found[1], factor / factor[1])

    assert same(logs)
    at_the_end = logs.clone()
    at_the_end[0, 0, 2] = population.NARROW
    assert same(at_the_end)
    two = torch.cat([logs[:30], logs[30:] + torch.tensor([0.1, -0.1, 0.0])])  # two candidates
    assert same(two)
    for apart in (logs + 1e-3 * torch.randn(60, 1, 3), logs[..., :1], logs[:1].expand(60, 1, 3)):
        assert report.common_factor(apart, weights) is None
    made = a_history()
    made.hyperparameters["population_sd"] = made.hyperparameters.pop("sd")
    made.hyperparameters["population_factor"] = made.hyperparameters["noise_scale"]
    assert [" ".join(line.split()) for line in made.summary().splitlines()[2:]] == [
        "population_sd[0] 1",
        "population_sd[1] 2",
        "population_factor 0.5 [0.25, 0.75]",
    ]


def test_state_is_a_copy() -> None:
    """What is put back equals what was there; neither changes with the other."""
    made = a_history()
    state = made.state_dict()
    assert isinstance(state["hyperparameters"]["sd"], tuple)
    assert not isinstance(state["hyperparameters"]["sd"], Interval)
    other = History().load_state_dict(state)
    assert isinstance(other.hyperparameters["sd"], Interval)
    assert other.summary() == made.summary()
    made.terms["elbo"].append(5.0)
    state["record_steps"].append(99)
    assert other.terms["elbo"] == [-3.0, -1.23456]
    assert other.record_steps == [0, 4, 6, 8, 12]
    with pytest.raises(ValueError, match=r"differs in \['steps'\]"):
        other.load_state_dict(state | {"steps": 3})


def test_thinned_records() -> None:
    made = a_history()
    h.thin_record(made, 4)
    assert made.record_steps == [0, 4, 8, 12]
    assert [float(one[0, 0]) for one in made.alpha] == [0.0, 4.0, 8.0, 12.0]
    assert made.beta == []
    made.beta = [2 * one for one in made.alpha]
    h.thin_record(made, 8)
    assert [float(one[0, 0]) for one in made.beta] == [0.0, 16.0]


@pytest.mark.parametrize("latents", [False, True])
def test_interval_of_the_record(latents: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power of two; at most about twice `record`; within the numbers that may be kept."""
    model: Any = SimpleNamespace(tasks=4, latent_mixing=object() if latents else None)
    found = {n: h.record_interval(model, n, 100) for n in (1, 99, 100, 199, 200, 399, 400, 1700)}
    assert found == {1: 1, 99: 1, 100: 1, 199: 1, 200: 2, 399: 2, 400: 4, 1700: 16}
    monkeypatch.setattr(h, "LARGEST_RECORD", 200)  # ten tables of 4 x 5, or five with beta
    room = 5 if latents else 10
    for steps in range(1, 90):
        every = h.record_interval(model, steps, 1000)
        assert every & (every - 1) == 0
        assert -(-steps // every) <= room
        assert every == 1 or -(-steps // (every // 2)) > room
    monkeypatch.setattr(h, "LARGEST_RECORD", 1)
    assert h.record_interval(model, 8, 1000) == 8


def test_terms_are_means_over_tasks() -> None:
    made = History()
    values: dict[str, Tensor] = {
        name: torch.tensor([float(i), i + 2.0]) for i, name in enumerate(h.AVERAGED)
    }
    h.record_terms(SimpleNamespace(**values), 0.7, made)  # type: ignore[arg-type]
    assert [made.terms[name] for name in h.AVERAGED] == [[i + 1.0] for i in range(len(h.AVERAGED))]
    assert made.terms["temperature"] == [0.7]
    made.step = 3
    h.record_mixing(made, torch.eye(2), None)
    assert made.record_steps == [3]
    assert made.beta == []
    h.record_mixing(made, torch.eye(2), torch.ones(2, 2))
    assert len(made.alpha) == 2
    assert made.beta[0].tolist() == [[1.0, 1.0], [1.0, 1.0]]
