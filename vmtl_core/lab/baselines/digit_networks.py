"""Small networks for the digits of chapter 10: an encoder for all domains, a trunk with heads."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal
from torch.nn import functional as F

from vmtl_core.lab.datasets import MultiTaskData


class SharedEncoder(nn.Module):
    """q(z|x), the same for all tasks: one linear map to means and standard deviations.

    Like `GaussianEncoder`, whose place it takes, it returns batch shape (T, B).

    Args:
        tasks: T.
        in_features: numbers in a row of x.
        latent_features: size of z.
        initial_scale: standard deviation of z to start from.

    >>> SharedEncoder(3, 4, 2)(torch.zeros(5, 4)).batch_shape
    torch.Size([3, 5])
    """

    def __init__(
        self, tasks: int, in_features: int, latent_features: int, initial_scale: float = 0.1
    ):
        super().__init__()
        self.tasks = tasks
        self.mean = nn.Linear(in_features, latent_features)
        self.raw = nn.Linear(in_features, latent_features)
        with torch.no_grad():
            self.raw.weight.zero_()
            self.raw.bias.fill_(torch.tensor(initial_scale).expm1().log().item())

    def forward(self, x: Tensor) -> Distribution:
        mean, scale = self.mean(x), F.softplus(self.raw(x)) + 1e-5
        shape = (self.tasks, *mean.shape)
        return Independent(Normal(mean.expand(shape), scale.expand(shape)), 1)


class Trunk(nn.Module):
    """One hidden layer for all tasks, a linear head for each; for comparison, without a posterior.

    Args:
        tasks: T.
        in_features: numbers in a row of x.
        outputs: numbers that a head gives.
        hidden: width of the layer.
    """

    def __init__(self, tasks: int, in_features: int, outputs: int, hidden: int = 64):
        super().__init__()
        self.layer = nn.Linear(in_features, hidden)
        self.heads = nn.Parameter(torch.zeros(tasks, hidden, outputs))
        self.bias = nn.Parameter(torch.zeros(tasks, outputs))

    def hidden(self, x: Tensor) -> Tensor:
        """What the heads see, (N, hidden)."""
        return F.relu(self.layer(x))

    def forward(self, x: Tensor, task: Tensor) -> Tensor:
        """(N, outputs)."""
        z = F.dropout(self.hidden(x), 0.5, self.training)
        return torch.einsum("nd,ndp->np", z, self.heads[task]) + self.bias[task]


def fit_trunk(train: MultiTaskData, steps: int = 300, seed: int = 0) -> Trunk:
    """Fit a trunk with heads to labels or numbers: AdamW with weight decay and dropout.

    Args:
        train: scaled images.
        steps: of the optimiser, on all images.
        seed: of first parameters and dropout.
    """
    torch.manual_seed(seed)
    labels = train.kind == "classification"
    trunk = Trunk(train.tasks, train.x.shape[1], 10 if labels else 1)
    optimiser = torch.optim.AdamW(trunk.parameters(), lr=0.005, weight_decay=3.0)
    for _ in range(steps):
        optimiser.zero_grad()
        out = trunk(train.x, train.task)
        loss = F.cross_entropy(out, train.y.long()) if labels else F.mse_loss(out[:, 0], train.y)
        loss.backward()
        optimiser.step()
    return trunk.eval()


@torch.no_grad()
def features(
    trunk: Trunk, train: MultiTaskData, *others: MultiTaskData
) -> tuple[MultiTaskData, ...]:
    """The same data with the trunk's hidden units for inputs.

    They are centred on `train` and scaled so that a row has length 1 on average there: then
    weights of size 1, where our priors start, make predictions of size 1.
    """
    hidden = trunk.hidden(train.x)
    centre = hidden.mean(0)
    length = (hidden - centre).square().sum(1).mean().sqrt()
    names = tuple(f"unit {unit}" for unit in range(hidden.shape[1]))
    return tuple(
        replace(d, x=(trunk.hidden(d.x) - centre) / length, input_names=names)
        for d in (train, *others)
    )
