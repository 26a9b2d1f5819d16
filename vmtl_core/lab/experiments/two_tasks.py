"""Two tasks with one number each, as data, as a model, and what their intervals are worth.

Many pairs at once are the columns of one target; they do not interact.
"""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from vmtl_core import GaussianWeights, LinearGaussian, MultiTaskELBO
from vmtl_core.lab.experiments.echo import Pair
from vmtl_core.lab.experiments.echo_clusters import BARE

REACH = Normal(0.0, 1.0).icdf(torch.tensor(0.95)).item()
"""Half a 90 % interval of a normal law, in standard deviations."""


def readings(difference: Tensor, N: int, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """Rows x, y and task whose sample means of column p differ by exactly difference[p].

    Args:
        difference: (P,), in units of y.
        N: readings a task.
        sigma: standard deviation of the noise.

    Returns:
        Ones (2N, 1); readings (2N, P); the task of each row (2N,).
    """
    noise = torch.randn(2, N, len(difference), generator=torch.Generator().manual_seed(0))
    centre = torch.stack([difference / 2, -difference / 2])[:, None]
    y = sigma * (noise - noise.mean(1, keepdim=True)) + centre
    return torch.ones(2 * N, 1), y.flatten(0, 1), torch.arange(2).repeat_interleave(N)


def two_tasks(N: int, sigma: float, columns: int, **options: Any) -> MultiTaskELBO:
    """A model of `readings`, with nothing in the prior but the other task unless `options` say so."""
    weights = GaussianWeights(2, (1, columns), covariance="diagonal")
    settings: dict[str, Any] = {"sources": "own"} | BARE | options
    return MultiTaskELBO(LinearGaussian(scale=sigma), weights, task_sizes=[N, N], **settings)


def within(ratio: Tensor) -> Tensor:
    """Probability that a normal error is in a 90 % interval whose sd is `ratio` of the true sd."""
    return 2 * Normal(0.0, 1.0).cdf(REACH * ratio) - 1


def covered(pair: Pair, true_width: Tensor | float, s: float = 1.0) -> Tensor:
    """Coverage of a 90 % interval for w_1, by (11.8).

    Args:
        pair: a posterior for sample means that differ by 1, so that its gap is a share of it.
        true_width: standard deviation of w_1 - w_2.
        s: standard error of a sample mean.
    """
    a = (1 + pair.gap) / 2
    error = a**2 * s**2 + (1 - a) ** 2 * (s**2 + torch.as_tensor(true_width) ** 2)
    return within((pair.variance / error).sqrt())
