"""When a model has groups, when it says why it can't, and what a fit with groups can't do."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

import vmtl_core as vmtl
from tests.closed_form.group_fits import EACH, TASKS, data
from vmtl_core.group_mixing import GroupMixing

FIRST = vmtl.GaussianWeights(TASKS, (3,))


class Wider(vmtl.GaussianWeights):
    """A family of the user's."""


def given_prior() -> Independent:
    return Independent(Normal(torch.zeros(3), torch.ones(3)), 1)


def build(**options: Any) -> vmtl.MultiTaskELBO:
    settings: dict[str, Any] = {
        "likelihood": vmtl.LinearGaussian(),
        "weights": vmtl.GaussianWeights(TASKS, (3,)),
        "task_sizes": [EACH] * TASKS,
    }
    return vmtl.MultiTaskELBO(**(settings | options)).double()


# What forbids groups, and what the message names.
OBSTACLES: dict[str, tuple[dict[str, Any], str]] = {
    "diagonal weights": (
        {"weights": vmtl.GaussianWeights(TASKS, (3,), covariance="diagonal")},
        "`weights` must be GaussianWeights with full covariance",
    ),
    "weights of the user's": (
        {"weights": Wider(TASKS, (3,))},
        "`weights` must be GaussianWeights with full covariance",
    ),
    "a likelihood of the user's": (
        {"likelihood": lambda z, w: Normal((z * w[..., :2]).sum(-1), 1.0)},
        "`likelihood` must be one of",
    ),
    "one of the user's in a list": (
        {
            "likelihood": [vmtl.LinearGaussian()] * (TASKS - 1)
            + [lambda z, w: Normal((z * w[..., :2]).sum(-1), 1.0)]
        },
        "`likelihood` must be one of",
    ),
    "latents": ({"latents": vmtl.GaussianEncoder(TASKS, 2, 2)}, "`latents` must be None"),
    "samples": ({"expectation": "sampled"}, "`expectation` must be 'exact'"),
    "monte carlo": ({"divergence": "monte_carlo"}, "`divergence` must be one of"),
    "no base prior": ({"base_prior": None, "transfer": None}, "`base_prior` must be 'learned'"),
    "a standard base prior": ({"base_prior": "standard"}, "`base_prior` must be 'learned'"),
    "a given base prior": ({"base_prior": given_prior()}, "`base_prior` must be 'learned'"),
    "no transfer": ({"transfer": None}, "`transfer` must be 'stationary'"),
    "learned transfer": ({"transfer": "learned"}, "`transfer` must be 'stationary'"),
    "a number for transfer": ({"transfer": 0.4}, "`transfer` must be 'stationary'"),
    "no hyperprior": ({"hyperprior": None}, "`hyperprior` must be 'weak'"),
    "neighbours": ({"neighbours": 2}, "`neighbours` and `own_...` must be None"),
    "no neighbours": ({"neighbours": 0}, "`neighbours` and `own_...` must be None"),
    "own weights": ({"own_weights": FIRST}, "`neighbours` and `own_...` must be None"),
    "own likelihood": (
        {"own_likelihood": vmtl.LinearGaussian()},
        "`neighbours` and `own_...` must be None",
    ),
    "many inputs": (
        {"weights": vmtl.GaussianWeights(TASKS, (51,))},
        "a task's `weights` must have no more than 50 rows",
    ),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_auto_takes_tasks_one_by_one_where_groups_cannot_be(name: str) -> None:
    options, _ = OBSTACLES[name]
    model = build(**options)
    assert model.sources == "own"
    assert not isinstance(model.prior.mixing, GroupMixing)
    with pytest.raises(ValueError, match=r"`groups` needs sources='groups'.*sources='own'"):
        model.groups()


@pytest.mark.parametrize("name", OBSTACLES)
def test_groups_say_why_they_cannot_be(name: str) -> None:
    options, why = OBSTACLES[name]
    with pytest.raises(ValueError) as caught:
        build(sources="groups", **options)
    assert f"`sources='groups'` can't be had: {why}" in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"divergence": "convex"},
        {"weights": vmtl.GaussianWeights(TASKS, (50,))},
        {"likelihood": vmtl.LinearGaussian(tasks=TASKS)},
        {"likelihood": vmtl.LinearGaussian(0.5)},
        {"likelihood": [vmtl.LinearGaussian()] * 3 + [vmtl.LinearPoisson()] * 3},
        {"temperature": vmtl.exponential_decay(1.0, 0.1, steps=20)},
    ],
    ids=["as it is", "convex", "50 weights", "noise a task", "known noise", "two kinds", "cooled"],
)
def test_auto_takes_groups_elsewhere(options: dict[str, Any]) -> None:
    model = build(**options)
    assert model.sources == "groups"
    assert model.groups().shape == (TASKS, 0)
    assert model.settings()["sources"] == "groups"


def test_before_a_fit_everybody_is_alone() -> None:
    """No groups, all weight on p_0, and an objective that is finite and has gradients."""
    model, table = build(), data()
    alone = torch.zeros(TASKS, TASKS + 1, dtype=torch.float64)
    alone[:, -1] = 1.0
    torch.testing.assert_close(model.alpha(), alone)
    torch.testing.assert_close(model.responsibilities(), alone)
    terms = model(*table)
    terms.loss.backward()
    assert bool(terms.elbo.isfinite())
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("options", [{"method": "adam"}, {"batch_size": 12}], ids=str)
def test_adam_cannot_find_groups(options: dict[str, Any]) -> None:
    """The message says what to do, and doing it works."""
    with pytest.raises(ValueError, match=r"closed form alone.*make the model with `sources='own'`"):
        vmtl.fit(build(), *data(), progress=False, **options)
    model = build(sources="own")
    vmtl.fit(model, *data(), steps=3, tolerance=None, progress=False, **options)
    assert bool(model(*data()).elbo.isfinite())


@pytest.mark.parametrize("frozen", ["posteriors.weights.loc", "prior.base.loc"])
def test_frozen_parameters(frozen: str) -> None:
    model = build()
    dict(model.named_parameters())[frozen].requires_grad_(False)
    with pytest.raises(ValueError, match=r"no parameter may be frozen.*`sources='own'`"):
        vmtl.fit(model, *data(), progress=False)


def test_unknown_sources() -> None:
    with pytest.raises(ValueError, match=r"`sources` must be one of .*auto.*groups.*got 'group'"):
        build(sources="group")


def test_own_sets_need_own_sources() -> None:
    """Whichever was chosen by name."""
    with pytest.raises(ValueError, match=r"`own_weights` needs sources='own'; got sources='joint'"):
        build(sources="joint", own_weights=vmtl.GaussianWeights(TASKS, (3,)))


def test_states_of_other_sources_do_not_fit() -> None:
    """A state says which sources it is of."""
    with pytest.raises(
        ValueError, match=r"`sources` must be that of the state, 'own'; got 'groups'"
    ):
        build().load_state_dict(build(sources="own").state_dict())


def test_nothing_of_groups_is_trained_by_gradients() -> None:
    """Weights and width are chosen by the evidence; a copy of the posteriors has the sources."""
    model = build()
    names = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert {"prior.mixing.logits", "prior.log_width"} <= names
    assert isinstance(model.own, nn.Module)
    assert model.own.weights is not model.posteriors.weights


def test_what_is_refused_leaves_the_model_as_it_was() -> None:
    """A fit with data or options that can't be doesn't cost the fit before it."""
    x, y, task = data()
    model = build()
    vmtl.fit(model, x, y, task, progress=False, average=False)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    wrong = torch.where(task == 0, torch.nan, y)
    refused: list[tuple[torch.Tensor, dict[str, Any]]] = [
        (wrong, {}),
        (torch.ones_like(y), {}),
        (y, {"method": "adam"}),
        (y, {"batch_size": 12}),
    ]
    for target, options in refused:
        with pytest.raises(ValueError):
            vmtl.fit(model, x, target, task, progress=False, **options)
    for name, value in model.state_dict().items():
        assert torch.equal(value, kept[name]), name
    assert model.groups().shape[1] == 2
