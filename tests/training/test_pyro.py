"""The model that the benchmark gives to Pyro is the core's: the two agree on its objective."""

import pytest
import torch

import vmtl_core as vmtl
from tests.stats import assert_mean

pyro = pytest.importorskip("pyro", reason="Pyro isn't installed")
from benchmarks.pyro_model import PyroVMTL  # noqa: E402


def test_pyro_estimates_the_same_objective() -> None:
    """(5.1) the paper's preset: mean over tasks of the core, sum over tasks of Pyro."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(3, 4, 2, generator=draw), torch.randn(3, 4, generator=draw)
    loc, scale = torch.randn(3, 2, generator=draw), torch.rand(3, 2, generator=draw) + 0.2
    logits = torch.randn(3, 3, generator=draw)
    model = vmtl.MultiTaskELBO.paper(
        vmtl.LinearGaussian(),
        vmtl.GaussianWeights(3, (2,), covariance="diagonal"),
        task_sizes=[4, 4, 4],
        temperature=0.7,
    )
    other = PyroVMTL(x, y, samples=10, temperature=0.7)
    parameters = dict(zip(("loc", "scale", "logits", "log_noise"), other.parameters(), strict=True))
    with torch.no_grad():
        for mine, value in ((model.posteriors.weights.loc, loc), (parameters["loc"], loc)):
            mine.copy_(value)
        model.posteriors.weights.log_scale.copy_(scale.log())
        parameters["scale"].copy_(scale.log())
        model.prior.mixing.logits.copy_(logits)
        parameters["logits"].copy_(logits)
        model.posteriors.likelihood.log_scale.fill_(0.3)
        parameters["log_noise"].fill_(0.3)
        torch.manual_seed(0)
        task = torch.arange(3).repeat_interleave(4)
        core = [3 * model(x.flatten(0, 1), y.flatten(), task).loss for _ in range(400)]
        theirs = [other.loss() for _ in range(400)]
    difference = torch.stack(core) - torch.stack(theirs)
    assert_mean(difference, 0.0)
    assert difference.std() / 400**0.5 < 0.5
