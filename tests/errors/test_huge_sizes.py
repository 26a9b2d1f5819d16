"""Sizes of which no tensor can be made are refused by the argument's name, before anything is made."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.distributions import Normal

import vmtl_core as vmtl

X = torch.eye(4)
LABELS, TASK = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
PAIR = Normal(torch.zeros(2), 1.0)


def model(**options: Any) -> vmtl.MultiTaskELBO:
    weights = vmtl.GaussianWeights(2, (4,))
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(), weights, task_sizes=[2, 2], **({"sources": "own"} | options)
    )


def run(**options: Any) -> vmtl.ELBOTerms:
    return model(divergence="monte_carlo", expectation="sampled", **options)(X, X[0], TASK)


def amortised(**options: Any) -> vmtl.AmortizedWeights:
    return vmtl.AmortizedWeights(X, LABELS, TASK, **({"latent_features": 2} | options))


CALLS: dict[str, tuple[str, Callable[[int], Any]]] = {
    "weights of tasks": ("tasks", lambda n: vmtl.GaussianWeights(n, (2,))),
    "weights of rows": ("event_shape", lambda n: vmtl.GaussianWeights(2, (n,))),
    "weights of columns": ("event_shape", lambda n: vmtl.GaussianWeights(2, (2, n))),
    "full weights": (
        "event_shape",
        lambda n: vmtl.GaussianWeights(2, (min(n, 2**30),), covariance="full"),
    ),
    "encoder of tasks": ("tasks", lambda n: vmtl.GaussianEncoder(n, 2, 2)),
    "encoder of inputs": ("in_features", lambda n: vmtl.GaussianEncoder(2, n, 2)),
    "encoder of latents": ("latent_features", lambda n: vmtl.GaussianEncoder(2, 2, n)),
    "encoder of hidden": ("hidden", lambda n: vmtl.GaussianEncoder(2, 2, 2, (n,))),
    "amortised latents": ("latent_features", lambda n: amortised(latent_features=n)),
    "amortised hidden": ("hidden", lambda n: amortised(hidden=(n,))),
    "amortised tasks": ("tasks", lambda n: amortised(tasks=n)),
    "amortised classes": ("classes", lambda n: amortised(classes=n)),
    "mixing": ("tasks", vmtl.GumbelSoftmaxMixing),
    "mixing of few": ("tasks", lambda n: vmtl.GumbelSoftmaxMixing(n, neighbours=2)),
    "noise": ("tasks", lambda n: vmtl.LinearGaussian(tasks=n)),
    "anchor": ("event_shape", lambda n: vmtl.BasePrior("learned", (n,))),
    "prior of tasks": ("tasks", lambda n: vmtl.WeightsPrior(n, (2,))),
    "width": (
        "event_shape",
        lambda n: vmtl.WeightsPrior(2, (n,), base_prior=None, transfer="learned"),
    ),
    "draws of mixing": ("samples", lambda n: vmtl.GumbelSoftmaxMixing(2).expected(1.0, n)),
    "draws of a kl": ("samples", lambda n: vmtl.kl_monte_carlo(PAIR, PAIR, n)),
    "draws of weights": ("weight_samples", lambda n: run(weight_samples=n)),
    "draws of divergence": ("(divergence_)?samples", lambda n: run(divergence_samples=n)),
    "draws of prediction": (
        "weight_samples",
        lambda n: vmtl.predictive(model(), X, TASK, weight_samples=n),
    ),
    "pairs of draws": (
        "latent_samples",
        lambda n: vmtl.predictive(model(), X, TASK, 2**10, latent_samples=n),
    ),
}


@pytest.mark.parametrize("size", [2**40, 2**62, 2**63 - 1, 2**63, 10**30], ids=lambda n: f"{n:.0e}")
@pytest.mark.parametrize("case", CALLS.values(), ids=CALLS.keys())
def test_refused(case: tuple[str, Callable[[int], Any]], size: int) -> None:
    name, call = case
    with pytest.raises(ValueError, match=rf"`{name}(\[0\]|\[1\])?`.* got"):
        call(size)
