"""A state goes only into a model whose settings give its numbers the same meaning."""

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

import vmtl_core as vmtl

X = torch.linspace(-1, 1, 14).reshape(7, 2)
Y = torch.tensor([0.0, 1, 1, 0, 1, 0, 1])
TASK = torch.tensor([0, 1, 1, 0, 1, 0, 1])


def build(**options: Any) -> vmtl.MultiTaskELBO:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {
        "likelihood": vmtl.LinearGaussian(),
        "weights": vmtl.GaussianWeights(2, (2,)),
        "task_sizes": [3, 4],
        "sources": "previous",
    }
    return vmtl.MultiTaskELBO(**({"sources": "own"} | defaults | options))


def normal(mean: float) -> Independent:
    return Independent(Normal(torch.full((2,), mean), 1.0), 1)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """Saved and loaded, with no code run."""
    stored = io.BytesIO()
    torch.save(state, stored)
    stored.seek(0)
    return torch.load(stored, weights_only=True)


DIFFERENT: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "transfer": ({"transfer": "learned"}, {}, ["`transfer`", "'learned'", "'stationary'"]),
    "width": ({"transfer": 0.5}, {"transfer": 0.25}, ["`transfer`", r"0\.5", r"0\.25"]),
    "sizes": ({}, {"task_sizes": [4, 3]}, ["`task_sizes`", r"\[3, 4\]", r"\[4, 3\]"]),
    "divergence": ({}, {"divergence": "convex"}, ["`divergence`", "'jensen'", "'convex'"]),
    "sources": ({}, {"sources": "joint"}, ["`sources`", "'previous'", "'joint'"]),
    "hyperprior": ({}, {"hyperprior": None}, ["`hyperprior`", "'weak'", "None"]),
    "tau": ({}, {"temperature": 0.5}, ["`temperature`", r"constant\(1\.0", r"constant\(0\.5"]),
    "schedule": (
        {"temperature": vmtl.linear_decay(1, 0.1, 9)},
        {"temperature": vmtl.cosine_decay(1, 0.1, 9)},
        ["`temperature`", r"linear\(1\.0, 0\.1, 9\)", "cosine"],
    ),
    "expectation": ({}, {"expectation": "sampled"}, ["`expectation`", "'exact'", "'sampled'"]),
    "anchor": ({}, {"base_prior": "standard"}, ["`base_prior`", "'learned'", "'standard'"]),
    "anchor given": (
        {"base_prior": normal(0.0)},
        {"base_prior": normal(2.0)},
        ["`base_prior`", r"Independent\(0, 0, 1, 1\)", r"Independent\(2, 2, 1, 1\)"],
    ),
    "likelihood": (
        {"likelihood": vmtl.LinearBernoulli()},
        {"likelihood": vmtl.LinearPoisson()},
        ["`likelihood`", "LinearBernoulli", "LinearPoisson"],
    ),
    "noise": (
        {"likelihood": vmtl.LinearGaussian(2.0)},
        {"likelihood": vmtl.LinearGaussian(3.0)},
        ["`likelihood`", r"scale=2\.0", r"scale=3\.0"],
    ),
    "noise learned": (
        {},
        {"likelihood": vmtl.LinearGaussian(1.0)},
        ["`likelihood`", "scale=None", r"scale=1\.0"],
    ),
}


@pytest.mark.parametrize("case", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_other_settings(case: tuple[dict[str, Any], dict[str, Any], list[str]]) -> None:
    """The setting is named with both values, and nothing has changed. Their keys are the same."""
    one, two, words = case
    model, other = build(**one), build(**two)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.5)
    state = through_a_file(model.state_dict())
    assert state.keys() == other.state_dict().keys()
    before = [p.clone() for p in other.parameters()]
    with pytest.raises(ValueError, match="must be that of the state") as error:
        other.load_state_dict(state)
    for word in words:
        error.match(word)
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))
    for key in [key for key in state if key.endswith("_extra_state")]:
        del state[key]  # as the message says, and as earlier versions wrote it
    other.load_state_dict(state)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True)
    )


SAME: dict[str, Any] = {"default": {}}
for name, (one, other, _) in DIFFERENT.items():
    SAME |= {f"{name}, one": one, f"{name}, other": other}


@pytest.mark.parametrize("options", SAME.values(), ids=SAME)
def test_the_same_settings(options: dict[str, Any]) -> None:
    """In another dtype too, and where tensors of the state are copied one by one."""
    model, other = build(**options).double(), build(**options)
    state = {name: value.clone() for name, value in through_a_file(model.state_dict()).items()}
    other.load_state_dict(state)


PARTS: dict[str, tuple[nn.Module, nn.Module]] = {
    "transfer": (vmtl.WeightsPrior(2, (2,), transfer="learned"), vmtl.WeightsPrior(2, (2,))),
    "base_prior": (vmtl.BasePrior("learned", (2,)), vmtl.BasePrior("standard", (2,))),
    "base_weight": (
        vmtl.GumbelSoftmaxMixing(3, base=True),
        vmtl.GumbelSoftmaxMixing(3, base=True, base_weight=0.25),
    ),
    "scale": (vmtl.LinearGaussian(), vmtl.LinearGaussian(0.5)),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_alone(name: str) -> None:
    one, two = PARTS[name]
    one.load_state_dict(one.state_dict())
    with pytest.raises(ValueError, match=f"`{name}` must be that of the state"):
        two.load_state_dict(one.state_dict())


def test_long_settings_show_what_differs() -> None:
    options = {"weights": vmtl.GaussianWeights(100, (2,))}
    one, two = (build(task_sizes=[7] * 98 + [n, 7], **options) for n in (5, 6))
    with pytest.raises(ValueError, match=r"state, \[5\] at \[98\]; got \[6\] at \[98\]"):
        two.load_state_dict(one.state_dict())


@pytest.mark.parametrize(
    "spoilt", [torch.tensor([1.0]), torch.tensor([91, 93]), "text"], ids=["bytes", "list", "text"]
)
def test_settings_that_no_state_has(spoilt: Any) -> None:
    state = build().state_dict() | {"_extra_state": spoilt}
    with pytest.raises(ValueError, match="'_extra_state' of the state must be what"):
        build().load_state_dict(state)


def fit(model: vmtl.MultiTaskELBO, steps: int, **options: Any) -> vmtl.History:
    return vmtl.fit(model, X, Y, TASK, steps=steps, progress=False, tolerance=None, **options)


@pytest.mark.parametrize("method", ["adam", "coordinate"])
def test_resume(method: str) -> None:
    """The same for the history of another model; one of an earlier version is not compared."""
    history = fit(build(), 2, method=method)
    other = build(transfer="learned")
    with pytest.raises(ValueError, match=r"`transfer` must be that of `resume`, 'stat.*'learned'"):
        fit(other, 3, resume=history)
    state = through_a_file(history.state_dict())
    assert state["settings"]["transfer"] == "stationary"
    del state["settings"]
    assert fit(other, 3, resume=vmtl.History().load_state_dict(state)).step == 3


def test_functions_are_alike() -> None:
    """What a function computes can't be seen."""

    def plain(z: Tensor, w: Tensor) -> Normal:
        return Normal((z * w).sum(-1), 1.0)

    def halved(step: int) -> float:
        return 0.5

    one = build(likelihood=plain, temperature=halved)
    two = build(likelihood=lambda z, w: plain(z, w), temperature=lambda step: 0.25)
    two.load_state_dict(one.state_dict())
