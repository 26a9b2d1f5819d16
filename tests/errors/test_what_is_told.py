"""Which columns a fit warns of, what a setting is called, and how a fit says that it isn't settled."""

import json
import math
import zlib
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Normal

import vmtl_core as vmtl
from vmtl_core import _settings, report, training
from vmtl_core.history import History

FAR = {
    "standard": (0.0, 1.0, False),
    "of sd 5": (0.0, 4.99, False),
    "wider": (0.0, 5.01, True),
    "a fifth": (0.9, 0.31, False),
    "mean of three sds": (2.99, 1.0, False),
    "further": (-3.01, 1.0, True),
    "small but within 1": (0.1, 0.05, False),
    "small and off": (0.2, 0.05, True),
    "constant": (7.0, 0.0, False),
}


@pytest.mark.parametrize("name", FAR)
def test_columns_far_from_standard(name: str) -> None:
    """Mean over three sds, or sd over 5; narrower than 1/5 is no matter within -1 and 1."""
    mean, sd, far = FAR[name]
    column = mean + sd * torch.tensor([-1.0, 1.0, -1.0, 1.0], dtype=torch.float64)
    both = torch.stack([torch.tensor([-1.0, 1.0, 1.0, -1.0], dtype=torch.float64), column], 1)
    expected = [(1, f"mean {mean:.3g}, sd {sd:.3g}")] if far else []
    assert report._far(both) == expected


def prior(base: str | None) -> vmtl.MultiTaskELBO:
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(2, (1,)),
        task_sizes=[2, 2],
        base_prior=base,
        transfer=None,
        sources="own",
    )


def test_who_warns_of_units() -> None:
    """The closed form under a base prior in units of w, and Adam; one column is, several are."""
    x = torch.tensor([[10.0], [11.0], [12.0], [13.0]])
    y = x[:, 0] - 11.5
    report.warn_of_units(prior("learned"), x, y, True)
    report.warn_of_units(prior(None), x, y, True)
    with pytest.warns(vmtl.UnitsWarning, match=r"^a base prior in units of w .* is far from"):
        report.warn_of_units(prior("standard"), x, y, True)
    with pytest.warns(vmtl.UnitsWarning, match=r"^Adam .*column 0 of `x` .*, `y` .* are far from"):
        report.warn_of_units(prior("learned"), x, y * 100, False)
    report.warn_of_units(prior("learned"), x[:, None], y, False)


def test_settings_are_text() -> None:
    """Numbers and text as they are, schedules by their arguments, functions by their kind."""
    for plain in (None, "learned", 3, 0.5):
        assert _settings.described(plain) == plain
    assert _settings.described(vmtl.linear_decay(1, 0.1, 9)) == "linear(1.0, 0.1, 9)"
    assert _settings.described(lambda step: step) == "a function"


def test_a_law_by_its_numbers() -> None:
    """Five of them, of more a checksum too; what is learned is not part of it."""
    assert _settings.described(Normal(torch.tensor([0.5, 1 / 3]), 2.0)) == (
        "Normal(0.5, 0.333333, 2, 2)"
    )
    scale = torch.ones(3)
    five = Normal(torch.tensor([1.0, 2, 3, 4, 5]), nn.Parameter(torch.ones(5)))
    assert _settings.described(five) == "Normal(1, 2, 3, 4, 5)"
    six = _settings.described(Normal(torch.tensor([1.0, 2.0, 3.0]), scale))
    check = zlib.crc32(repr([1.0, 2.0, 3.0, 1.0, 1.0, 1.0]).encode())
    assert six == f"Normal(1, 2, 3, 1, 1, ... checksum {check:08x})"
    assert _settings.described(Normal(nn.Parameter(scale), nn.Parameter(scale))) == "Normal()"


def test_values_in_a_message() -> None:
    """Of lists over five, at most five entries that differ; text over 120 is cut to 100."""
    one, two = list(range(9)), [0, *range(8)]
    assert _settings._shown(one, two) == "[1, 2, 3, 4, 5] at [1, 2, 3, 4, 5]"
    assert _settings._shown(one[:5], two[:5]) == repr(one[:5])
    assert _settings._shown(one[:6], [*range(5), 7]) == "[5] at [5]"
    assert _settings._shown(one, two[:8]) == repr(one)
    assert _settings._shown("a" * 117, None) == repr("a" * 117)
    assert _settings._shown("a" * 118, None) == "'" + "a" * 99 + "..."


def test_settings_travel_as_bytes() -> None:
    """JSON; a setting that the state lacks is not compared."""
    model = prior("learned")
    found = json.loads(bytes(model.get_extra_state().tolist()))
    assert found == json.loads(json.dumps(model.settings()))
    _settings.compare({}, {"a": 1}, "the state", "so")
    _settings.compare({"a": [1, 2]}, {"a": (1, 2)}, "the state", "so")
    with pytest.raises(ValueError, match=r"^`a` must be that of the state, 2; got 1 \(so\)$"):
        _settings.compare({"a": 2}, {"a": 1}, "the state", "so")


AT_REST: dict[str, tuple[list[float], bool]] = {
    "one sweep": ([1.0], False),
    "the last moved little": ([0.0, 1.0, 1.009], True),
    "down as well as up": ([0.0, 1.0, 0.991], True),
    "much": ([0.0, 1.0, 1.02], False),
    "down much": ([0.0, 1.0, 0.98], False),
    "goes round": ([0.0, 1.0] * 10, True),
    "goes round, but briefly": ([0.0, 1.0] * 9 + [0.0], False),
    "goes round and up": ([0.0, 1.0] * 5 + [0.1, 1.02] * 5, False),
}


@pytest.mark.parametrize("name", AT_REST)
def test_at_rest(name: str) -> None:
    values, expected = AT_REST[name]
    assert training._at_rest(values, 0.01) is expected


def test_unsettled() -> None:
    """Sweeps have no rate to raise."""
    for method, advice in (("coordinate", "raise `steps`,"), ("adam", "raise `steps` or `lr`,")):
        history = History()
        history.method = method
        text = training._unsettled(history, 7)
        assert f"the fit by {method} stopped after 7 steps" in text
        assert advice in text


def test_the_rate_falls_to_a_hundredth() -> None:
    rate = training._schedule(None, 100)
    assert rate(0) == pytest.approx(0.03)
    assert rate(100) == pytest.approx(0.0003)
    assert training._schedule(0.2, 100)(50) == 0.2

    def halved(step: int) -> float:
        return math.pow(0.5, step)

    assert training._schedule(halved, 100) is halved


def test_which_way_is_taken() -> None:
    """Beyond 50 inputs by Adam; the closed form if it is asked for, or where it was begun."""

    def chosen(rows: int, method: str = "auto", streamed: str = "", was: Any = None) -> bool:
        model = vmtl.MultiTaskELBO(
            vmtl.LinearGaussian(),
            vmtl.GaussianWeights(2, (rows,), covariance="full"),
            task_sizes=[2, 2],
            sources="own",
        )
        return training._choose(model, torch.zeros(4, rows), method, streamed, was)

    assert chosen(50)
    assert not chosen(51)
    assert chosen(51, "coordinate")
    assert not chosen(2, "adam")
    assert not chosen(2, streamed="`batch_size` must be None")
    begun = History()
    begun.method = "adam"
    assert not chosen(2, was=begun)
    begun.method = "coordinate"
    assert chosen(51, was=begun)
    with pytest.raises(ValueError, match=r"^`method` must be that of `resume`, 'coordinate'"):
        chosen(2, "adam", was=begun)


def test_counts_of_a_batch() -> None:
    """In proportion, rounded down, at least one, and no more than there are."""
    task = torch.arange(3).repeat_interleave(torch.tensor([1, 4, 15]))
    wanted = {3: [1, 1, 2], 10: [1, 2, 7], 19: [1, 3, 14], 20: [1, 4, 15], 99: [1, 4, 15]}
    for size, counts in wanted.items():
        assert vmtl.StratifiedBatches(task, size).counts.tolist() == counts
    rows = vmtl.StratifiedBatches(task, 10, torch.Generator().manual_seed(0)).draw()
    assert task[rows].tolist() == [0] + [1] * 2 + [2] * 7
    assert len(set(rows.tolist())) == 10


def test_every_row_is_as_likely() -> None:
    """2000 batches with two rows of four: each in half of them, five standard errors about it."""
    task = torch.tensor([0, 1, 0, 0, 0])
    batches = vmtl.StratifiedBatches(task, 3, torch.Generator().manual_seed(0))
    seen = torch.stack([torch.bincount(batches.draw(), minlength=5) for _ in range(2000)])
    share = seen.double().mean(0)
    assert share[1] == 1
    assert float((share[[0, 2, 3, 4]] - 0.5).abs().max()) < 5 * 0.5 / 2000**0.5


def test_settings_in_another_dtype() -> None:
    """A state whose tensors were all made double is read as well."""
    model = prior("learned")
    state = {name: value.double() for name, value in model.state_dict().items()}
    model.load_state_dict(state)


def test_one_number_a_row_that_says_nothing() -> None:
    """x of shape (N,) is one column."""
    with pytest.warns(vmtl.IdentificationWarning, match="column 0 of `x`"):
        report.warn_of_unidentified(prior("learned"), torch.zeros(4))
