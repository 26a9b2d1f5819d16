"""The multi-task ELBO: what `fit` maximises."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Distribution

from vmtl_core import _checks
from vmtl_core._checks import one_of, positive_int, require
from vmtl_core._random import seeded
from vmtl_core.bundle import Bundle, as_rows, draw, own_rows
from vmtl_core.distributions import detach
from vmtl_core.divergences import METHODS, mixture_kl, pairwise_kl, responsibilities
from vmtl_core.likelihoods import expected_log_likelihood
from vmtl_core.mixing import GumbelSoftmaxMixing, Schedule, constant
from vmtl_core.priors import (
    WeightsPrior,
    latent_components,
    mixture_prior,
    standard_normal_like,
)

SOURCES = ("own", "previous", "joint")


class ELBOTerms(NamedTuple):
    """The terms of the multi-task ELBO, in nats; `elbo` is to be maximised, `loss` minimised."""

    log_likelihood: Tensor
    """Expected log likelihood of each task's data, (T,), mini-batches scaled up."""
    kl_weights: Tensor
    """KL(q(w_t|D_t) || prior of task t), or its bound, (T,)."""
    kl_latents: Tensor
    """Sum over a task's rows of KL(q(z|x_n, D_t) || prior), (T,), mini-batches scaled up."""
    hyperprior: Tensor
    """Log density of the hyperpriors divided by T, a scalar."""
    own_elbo: Tensor
    """ELBO of each task's own-data posterior, (T,); zero unless `sources="own"`."""

    @property
    def elbo(self) -> Tensor:
        """Mean over tasks of log_likelihood - kl_weights - kl_latents, plus hyperprior; maximise.

        Equation (5.4). With `sources="own"` it also carries the gradient, but not the value, of
        the mean of `own_elbo`, which fits the own-data posteriors (their parameters occur nowhere
        else) and, with the rest, the base prior.
        """
        per_task = self.log_likelihood - self.kl_weights - self.kl_latents
        own = self.own_elbo - self.own_elbo.detach()
        return (per_task + own).mean() + self.hyperprior

    @property
    def loss(self) -> Tensor:
        """-elbo, to minimise."""
        return -self.elbo


class MultiTaskELBO(nn.Module):
    r"""The sampled multi-task ELBO: a mean over tasks, per task a sum over examples, to maximise.

    Equation (5.1):

    $$ \mathrm{ELBO}_t = \sum_n \tfrac{1}{ML} \sum_{l,m} \log p(y_{tn}|z_{tn}^{(l)}, w_t^{(m)})
      - \sum_n \mathrm{KL}(q(z|x_{tn}, D_t) \| p(z|x_{tn}, D_{-t}))
      - \mathrm{KL}(q(w_t|D_t) \| p(w_t|D_{-t})) $$

    Args:
        likelihood: callable (z, w) -> Distribution of batch shape (L, M, B), or a list of one per
            task (heterogeneous tasks). z has shape (L, 1, B, ...), w has shape (1, M, B, ...).
        weights: q(w|D_t): a module or callable () -> Distribution of batch shape (T,), or a list
            of T Distributions of batch shape ().
        latents: q(z|x, D_t): a module or callable x -> Distribution of batch shape (T, B); None
            means z = x.
        task_sizes: N_t, how many examples each task has in all.
        sources: whose posteriors the prior is made of. "own": a second set, each fitted to its own
            task's data alone under the base prior; "previous": the others' current q, detached;
            "joint": the others' current q, gradients and all.
        base_prior: None, "standard", "learned" or a Distribution; see `BasePrior`. With one, the
            prior of z gets a component N(0, I) too.
        transfer: None, "learned" or a number; see `WeightsPrior`.
        divergence: how KL(q(w) || prior) and KL(q(z) || prior) are computed; see `kl_to_mixture`.
        weight_samples, latent_samples: M and L, all M x L pairs are used.
        divergence_samples: samples of divergence="monte_carlo".
        temperature: tau of the Gumbel-softmax, a number or a schedule step -> tau.
        hyperprior: "weak", or None for no hyperprior; see `WeightsPrior.log_hyperprior`.
        own_weights, own_latents, own_likelihood: the second set for sources="own", needed where
            `weights` or `latents` isn't a module that can be copied.

    Raises:
        ValueError: for any argument out of its range, named with what came.

    References:
        Shen, Zhen, Worring, Shao, *Variational Multi-Task Learning with Gumbel-Softmax Priors*,
        2021.

    Example:
        >>> import vmtl_core as vmtl
        >>> _ = torch.manual_seed(0)
        >>> model = vmtl.MultiTaskELBO(
        ...     likelihood=vmtl.LinearBernoulli(),
        ...     weights=vmtl.GaussianWeights(tasks=2, event_shape=(3,)),
        ...     task_sizes=[4, 4],
        ... )
        >>> x, task = torch.randn(8, 3), torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
        >>> terms = model(x, (x[:, 0] > 0).float(), task)
        >>> terms.kl_weights.shape, bool(terms.elbo == -terms.loss)
        (torch.Size([2]), True)
    """

    task_sizes: Tensor

    def __init__(
        self,
        likelihood: Any,
        weights: Any,
        latents: Callable[[Tensor], Distribution] | None = None,
        *,
        task_sizes: Sequence[int] | Tensor,
        divergence: str = "jensen",
        sources: str = "own",
        base_prior: str | Distribution | None = "learned",
        transfer: str | float | None = "learned",
        weight_samples: int = 10,
        latent_samples: int = 10,
        divergence_samples: int = 10,
        temperature: float | Schedule = 1.0,
        hyperprior: str | None = "weak",
        own_weights: Any = None,
        own_latents: Any = None,
        own_likelihood: Any = None,
    ):
        super().__init__()
        sizes = [positive_int("task_sizes", int(n)) for n in task_sizes]
        require(len(sizes) >= 2, f"`task_sizes` must list at least two tasks; got {sizes}")
        one_of("divergence", divergence, METHODS)
        one_of("sources", sources, SOURCES)
        one_of("hyperprior", hyperprior, ("weak", None))
        self.tasks, self.divergence, self.sources = len(sizes), divergence, sources
        self.weight_samples = positive_int("weight_samples", weight_samples)
        self.latent_samples = positive_int("latent_samples", latent_samples)
        self.divergence_samples = positive_int("divergence_samples", divergence_samples)
        self.temperature = temperature if callable(temperature) else constant(temperature)
        self.hyperprior = hyperprior
        self.register_buffer("task_sizes", torch.tensor(sizes), persistent=False)
        self.posteriors = Bundle(self.tasks, likelihood, weights, latents)
        self.own: Bundle | None = None
        if sources == "own":
            self.own = self.posteriors.twin(own_likelihood, own_weights, own_latents)
        q_w = self.posteriors.q_weights()
        self.prior = WeightsPrior(self.tasks, q_w.event_shape, base_prior, transfer).to(q_w.mean)
        self.latent_mixing: GumbelSoftmaxMixing | None = None
        if latents is not None:
            base = base_prior is not None
            self.latent_mixing = GumbelSoftmaxMixing(self.tasks, base=base).to(q_w.mean)

    @classmethod
    def paper(
        cls, likelihood: Any, weights: Any, latents: Any = None, **options: Any
    ) -> "MultiTaskELBO":
        """The choices of Shen et al. 2021: sources "previous", sampled KL, nothing but a mixture.

        The same as `MultiTaskELBO(sources="previous", base_prior=None, transfer=None,
        divergence="monte_carlo", hyperprior=None)`; `options` override these and add the rest.
        """
        preset = {
            "sources": "previous",
            "base_prior": None,
            "transfer": None,
            "divergence": "monte_carlo",
            "hyperprior": None,
        }
        return cls(likelihood, weights, latents, **(preset | options))

    def forward(
        self,
        x: Tensor,
        y: Tensor,
        task: Tensor,
        step: int = 0,
        generator: Generator | None = None,
        validate: bool = True,
    ) -> ELBOTerms:
        """One estimate of the objective from a batch.

        Args:
            x: inputs, shape (B, ...).
            y: targets, shape (B, ...).
            task: task ids 0...T-1, shape (B,), in any order. A task absent from the batch
                contributes its KL of w only.
            step: for the temperature schedule.
            generator: source of all randomness; the global stream if None.
            validate: False skips the checks of the data (`fit` has done them once).

        Raises:
            ValueError: if x, y or task don't fit together or the model.
        """
        validate = validate and not torch.compiler.is_compiling()
        if validate:
            self.check(x, y, task)
        x, temperature = as_rows(x), self.temperature(step)
        with seeded(generator):
            q_w, q_z, rows = self._fit_terms(self.posteriors, x, y, task, validate)
            own_w, own_z, own_elbo = self._own_data(x, y, task)
            kl_w = self._kl_weights(q_w, self._sources(q_w, own_w), temperature)
            kl_z = torch.zeros_like(rows)
            if q_z is not None:
                kl_z = self._kl_latents(q_z, self._sources(q_z, own_z), task, temperature)
        log_likelihood, kl_z = self._per_task(rows, task), self._per_task(kl_z, task)
        return ELBOTerms(log_likelihood, kl_w, kl_z, self._log_hyperprior(kl_w), own_elbo)

    def _fit_terms(
        self, bundle: Bundle, x: Tensor, y: Tensor, task: Tensor, validate: bool
    ) -> tuple[Distribution, Distribution | None, Tensor]:
        """One set's posteriors and its expected log likelihood of each row, (B,)."""
        q_w, q_z = bundle.q_weights(), bundle.q_latents(x)
        z, w = draw(q_w, q_z, x, task, self.weight_samples, self.latent_samples)
        rows = expected_log_likelihood(bundle.likelihood, z, w, y, task, validate)
        return q_w, q_z, rows

    def _sources(self, current: Any, own: Any) -> Any:
        """The posteriors that the prior is made of."""
        return {"own": lambda: own, "joint": lambda: current, "previous": lambda: detach(current)}[
            self.sources
        ]()

    def _kl_weights(self, q_w: Distribution, sources: Distribution, temperature: float) -> Tensor:
        """KL(q(w_t|D_t) || prior of task t) by the chosen method, (T,)."""
        log_alpha = self.prior.mixing.log_weights(temperature)
        components = self.prior.components(sources)
        return mixture_kl(q_w, components, log_alpha, self.divergence, self.divergence_samples)

    def _kl_latents(
        self, q_z: Distribution, sources: Distribution, task: Tensor, temperature: float
    ) -> Tensor:
        """KL(q(z|x_n, D_t) || sum_k beta_tk q(z|x_n, D_k)) of each row, (B,)."""
        assert self.latent_mixing is not None
        log_beta = self.latent_mixing.log_weights(temperature)[task]
        components = latent_components(sources, base=self.prior.base is not None)
        q = own_rows(q_z, task)
        return mixture_kl(q, components, log_beta, self.divergence, self.divergence_samples)

    def _own_data(
        self, x: Tensor, y: Tensor, task: Tensor
    ) -> tuple[Distribution | None, Distribution | None, Tensor]:
        """The own-data posteriors, detached, and the ELBO that fits them. Equation (5.5)."""
        if self.own is None:
            return None, None, torch.zeros(self.tasks, device=x.device)
        q_w, q_z, rows = self._fit_terms(self.own, x, y, task, validate=False)
        if q_z is not None:
            anchor = standard_normal_like(q_z)
            rows = rows - pairwise_kl(own_rows(q_z, task), anchor).squeeze(-1)
        kl_w = pairwise_kl(q_w, self.prior.anchor(q_w.event_shape)).squeeze(-1)
        own_elbo = self._per_task(rows, task) - kl_w
        return detach(q_w), None if q_z is None else detach(q_z), own_elbo

    def _per_task(self, rows: Tensor, task: Tensor) -> Tensor:
        """Sum the rows of each task and scale by N_t / B_t, (T,). Equation (5.3)."""
        counts = torch.bincount(task, minlength=self.tasks).clamp_min(1)
        sums = rows.new_zeros(self.tasks).index_add(0, task, rows)
        return sums * (self.task_sizes / counts).to(rows.dtype)

    def _log_hyperprior(self, like: Tensor) -> Tensor:
        """Log density of the hyperpriors, once, divided by T like the rest; a scalar."""
        if self.hyperprior is None:
            return like.new_zeros(())
        total = self.prior.log_hyperprior()
        if self.latent_mixing is not None:
            total = total + self.latent_mixing.log_hyperprior()
        return total / self.tasks

    def check(self, x: Tensor, y: Tensor, task: Tensor) -> None:
        """Raise `ValueError` unless x, y and task are a batch this model can take."""
        _checks.long_format(self.tasks, x, task, y)
        counts = torch.bincount(task, minlength=self.tasks)
        over = (counts > self.task_sizes).nonzero().flatten().tolist()
        require(
            not over,
            f"`task` must hold no more rows of a task than `task_sizes`; tasks {over[:10]} have "
            f"{counts[over[:10]].tolist()} rows, `task_sizes` says "
            f"{self.task_sizes[over[:10]].tolist()}",
        )

    def q_weights(self) -> Distribution:
        """q(w|D_t), batch shape (T,)."""
        return self.posteriors.q_weights()

    @torch.no_grad()
    def source_weights(self) -> Distribution:
        """The posteriors of w that the prior is made of, batch shape (T,), before widening."""
        return (self.posteriors if self.own is None else self.own).q_weights()

    @torch.no_grad()
    def weights_prior(self) -> Distribution:
        """The prior of every task at the present parameters, weights softmax(log pi), (T,)."""
        components = self.prior.components(self.source_weights())
        return mixture_prior(components, self.prior.mixing.log_probabilities())

    @torch.no_grad()
    def alpha(self) -> Tensor:
        """softmax(log pi) of the weights' prior: (T, T), or (T, T + 1) with the base prior last."""
        return self.prior.mixing.probabilities()

    @torch.no_grad()
    def beta(self) -> Tensor:
        """The same for the latents' prior.

        Raises:
            ValueError: if the model has no latents.
        """
        if self.latent_mixing is None:
            raise ValueError("`beta` needs latents; this model was made with `latents=None`")
        return self.latent_mixing.probabilities()

    @torch.no_grad()
    def responsibilities(self) -> Tensor:
        """phi[t, k], which source explains task t: same shape as `alpha`. Equation (4.5)."""
        components = self.prior.components(self.source_weights())
        kl = pairwise_kl(self.q_weights(), components)
        return responsibilities(kl, self.prior.mixing.log_probabilities())
