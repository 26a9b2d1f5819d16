"""The objective against the loops of `tests/oracle.py` when each makes its own draws.

`test_oracle` hands the core's draws to the loops, so that it can't see whether they are the right
ones: how many, of what law, at which temperature. Here nothing is shared but the parameters.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

import vmtl_core as vmtl
from tests.oracle import by_task, naive_terms
from tests.stats import K
from tests.training.test_oracle import SIZES, TASKS, build, table

REPEATS, STEP = 200, 3
TEMPERATURE = 9.0 * (0.01 / 9.0) ** (STEP / 6)  # of the schedule below: .3
TERMS = ("log_likelihood", "kl_weights", "kl_latents", "own_elbo")
CASES: dict[str, dict[str, Any]] = {
    "own": {"sources": "own"},
    "sampled": {
        "sources": "previous", "divergence": "monte_carlo", "divergence_samples": 20,
        "base_prior": None, "transfer": "learned", "expectation": "sampled",
    },
}  # fmt: skip


def calm(**options: Any) -> vmtl.MultiTaskELBO:
    """A model whose terms vary little enough for their spread to be told from a few hundred draws."""
    torch.manual_seed(1)
    schedule = vmtl.exponential_decay(9.0, 0.01, steps=6)
    latents = options["sources"] == "own"  # for the other, time is better spent on more draws
    model = build(latents, "diagonal", temperature=schedule, **options)
    with torch.no_grad():
        for bundle in (model.posteriors, model.own):
            if bundle is not None:
                bundle.weights.log_scale.sub_(1.0)
    return model


def stacked(terms: list[vmtl.ELBOTerms]) -> dict[str, Tensor]:
    return {name: torch.stack([getattr(t, name).detach() for t in terms]) for name in TERMS}


def differences(ours: Tensor, theirs: Tensor) -> Tensor:
    """Of two sets of independent draws, that of their means, in standard errors."""
    error = ((ours.var(0) + theirs.var(0)) / len(ours)).sqrt()
    return (ours.mean(0) - theirs.mean(0)).abs() / error.clamp_min(1e-9)


def of_spread(ours: Tensor, theirs: Tensor) -> Tensor:
    """The same of their squared deviations from the common mean."""
    centre = (ours.mean(0) + theirs.mean(0)) / 2
    return differences((ours - centre).square(), (theirs - centre).square())


@pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())
def test_own_draws_have_the_same_law(options: dict[str, Any]) -> None:
    """(5.1), (3.5) mean and spread of every term, at a temperature that the loops work out."""
    model, (x, y, task) = calm(**options), table(SIZES)
    rows = by_task(x, y, task, TASKS)
    with torch.no_grad():
        ours = stacked([model(x, y, task, step=STEP) for _ in range(REPEATS)])
        theirs = stacked([naive_terms(model, rows, None, TEMPERATURE) for _ in range(REPEATS)])
        warm = stacked([model(x, y, task) for _ in range(REPEATS)])
    for name in TERMS:
        assert (differences(ours[name], theirs[name]) < K).all(), name
        assert (of_spread(ours[name], theirs[name]) < K).all(), name
    changed = differences(ours["kl_weights"], warm["kl_weights"])
    spread = of_spread(ours["kl_weights"], warm["kl_weights"])
    assert (torch.maximum(changed, spread) > K).any(), "the comparison sees a temperature"
