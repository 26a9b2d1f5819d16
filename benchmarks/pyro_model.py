"""The paper's model written in Pyro, as one would there: model, guide and `Trace_ELBO`.

Pyro can express it because the prior's components are detached: they are read from the guide's
parameters. It draws w once for both likelihood and KL, where the core draws twice; the expectations
are equal, which `tests/training/test_pyro.py` checks.
"""

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import Trace_ELBO
from torch import Tensor
from torch.distributions import constraints


class PyroVMTL:
    """Multi-task linear regression with Gumbel-softmax priors over the other tasks' posteriors.

    Args:
        x: inputs, (T, N, D): every task has as many rows.
        y: targets, (T, N).
        samples: draws of w in one estimate.
        temperature: tau.
    """

    def __init__(self, x: Tensor, y: Tensor, samples: int, temperature: float = 1.0):
        self.x, self.y, self.temperature = x, y, temperature
        self.own = torch.eye(len(x), dtype=torch.bool)
        pyro.clear_param_store()
        self.elbo = Trace_ELBO(samples, max_plate_nesting=2, vectorize_particles=True)

    def guide(self) -> None:
        """q(w_t) = N(loc_t, diag(scale_t^2))."""
        shape = (len(self.x), self.x.shape[2])
        loc = pyro.param("loc", torch.zeros(shape))
        scale = pyro.param("scale", torch.full(shape, 0.3), constraint=constraints.positive)
        with pyro.plate("tasks", len(self.x), dim=-2):
            pyro.sample("w", dist.Normal(loc.unsqueeze(-2), scale.unsqueeze(-2)).to_event(1))

    def model(self) -> None:
        """The mixture prior of every task, and its rows."""
        tasks, rows, inputs = self.x.shape
        loc = pyro.param("loc", torch.zeros(tasks, inputs)).detach()
        scale = pyro.param("scale", torch.full((tasks, inputs), 0.3)).detach()
        logits = pyro.param("logits", torch.zeros(tasks, tasks))
        log_noise = pyro.param("log_noise", torch.zeros(()))
        gumbel = -torch.empty_like(logits).exponential_().log()
        alpha = ((logits + gumbel) / self.temperature).masked_fill(self.own, -torch.inf)
        components = dist.Normal(loc, scale).to_event(1).expand((tasks, 1, tasks))
        mixing = dist.Categorical(logits=alpha.unsqueeze(-2))
        with pyro.plate("tasks", tasks, dim=-2):
            w = pyro.sample("w", dist.MixtureSameFamily(mixing, components))
            with pyro.plate("rows", rows, dim=-1):
                mean = (self.x * w).sum(-1)
                pyro.sample("y", dist.Normal(mean, log_noise.exp()), obs=self.y)

    def loss(self) -> Tensor:
        """Minus the ELBO, summed over tasks, to differentiate."""
        return self.elbo.differentiable_loss(self.model, self.guide)

    def parameters(self) -> list[Tensor]:
        """What an optimiser updates, made by a first pass; the scale's on a logarithmic axis."""
        self.loss()
        return [value for _, value in pyro.get_param_store().named_parameters()]
