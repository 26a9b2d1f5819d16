"""The multi-task ELBO: what `fit` maximises."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.distributions import Distribution

from vmtl_core import _checks
from vmtl_core._checks import one_of, positive_int, require
from vmtl_core._precision import widest
from vmtl_core._random import seeded
from vmtl_core._rows import rows_per_task
from vmtl_core._settings import KeepsSettings, described
from vmtl_core.averaging import HyperAverage
from vmtl_core.batches import BatchWarning
from vmtl_core.bundle import Bundle, Encodings, as_rows, draw
from vmtl_core.candidates import MANY, NEIGHBOURS, nearest_means
from vmtl_core.distributions import detach, example
from vmtl_core.divergences import METHODS, mixture_kl, pairwise_kl, responsibilities
from vmtl_core.expectations import has_expectation, linear_moments
from vmtl_core.group_mixing import GroupMixing, helpers, why_no_groups
from vmtl_core.likelihoods import exact_log_likelihood, expected_log_likelihood
from vmtl_core.mixing import GumbelSoftmaxMixing, Schedule, as_schedule
from vmtl_core.priors import (
    WeightsPrior,
    latent_components,
    mixture_prior,
    standard_normal_like,
)

SOURCES = ("auto", "groups", "own", "previous", "joint")


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
        the mean of `own_elbo`, which fits the own-data posteriors and a learned base prior: the
        rest of the objective holds them fixed.
        """
        per_task = self.log_likelihood - self.kl_weights - self.kl_latents
        own = self.own_elbo - self.own_elbo.detach()
        return (per_task + own).mean() + self.hyperprior

    @property
    def loss(self) -> Tensor:
        """-elbo, to minimise."""
        return -self.elbo


class Evaluation(NamedTuple):
    """One set of posteriors on a batch, and how well samples from it explain the batch."""

    q_weights: Distribution
    """q(w|D_t), batch shape (T,)."""
    q_latents: Distribution | None
    """q(z|x_n, D_t) of each row under its own task, (B,); None for z = x."""
    encodings: Encodings
    """Gives q(z|x_n, D_k) of each row under every task, (B, T)."""
    log_likelihood: Tensor
    """Of each row, the mean over the L x M samples, (B,)."""


class MultiTaskELBO(KeepsSettings):
    r"""The sampled multi-task ELBO: a mean over tasks, per task a sum over examples, to maximise.

    Equation (5.1):

    $$ \mathrm{ELBO}_t = \sum_n \tfrac{1}{ML} \sum_{l,m} \log p(y_{tn}|z_{tn}^{(l)}, w_t^{(m)})
      - \sum_n \mathrm{KL}(q(z|x_{tn}, D_t) \| p(z|x_{tn}, D_{-t}))
      - \mathrm{KL}(q(w_t|D_t) \| p(w_t|D_{-t})) $$

    Args:
        likelihood: callable (z, w) -> Distribution of batch shape (L, M, B), or a list of one per
            task (heterogeneous tasks). z has shape (L, 1, B, ...), w has shape (1, M, B, ...).
            Only a module's parameters are registered, hence fitted, and copied for
            `sources="own"`: those that a function closes over are neither. The same for
            `weights`, `latents` and `base_prior`.
        weights: q(w|D_t): a module or callable () -> Distribution of batch shape (T,), or a list
            of T Distributions of batch shape (), whose parameters nothing fits.
        latents: q(z|x, D_t): a module or callable x -> Distribution of batch shape (T, B); None
            means z = x.
        task_sizes: N_t, how many examples each task has in all.
        sources: what the prior of a task is made of. "groups": groups of tasks, each as all its
            members but this one tell it by their own data, (14.3); which and how many is chosen by
            the evidence, in `fit`. "own": the other tasks one by one, each by a second posterior
            fitted to its own data alone under the base prior, (5.5); "previous": their current q,
            detached; "joint": their current q, gradients and all. "auto": "groups" where the closed
            form can have them, else "own".
        base_prior: None, "standard", "learned" or a Distribution; see `BasePrior`. With one, the
            prior of z gets a component N(0, I) too.
        transfer: "stationary", "learned", a number or None; see `WeightsPrior`. "stationary" needs
            a Gaussian base prior.
        divergence: how KL(q(w) || prior) and KL(q(z) || prior) are computed; see `kl_to_mixture`.
        weight_samples, latent_samples: M and L, all M x L pairs are used.
        divergence_samples: samples of divergence="monte_carlo".
        temperature: tau of the Gumbel-softmax, a number or a schedule step -> tau.
        hyperprior: "weak", or None for no hyperprior; see `WeightsPrior.log_hyperprior`. It is
            relative to the data: the base prior's parameters are in standard units, (5.13), which
            `fit` takes from the table, and a noise scale is measured by y's spread.
        expectation: "exact" takes the expected log likelihood in closed form or by fixed nodes
            where z = x, the posteriors are Gaussian and the likelihood is one of ours, (5.12), and
            samples elsewhere; "sampled" samples always, as in (5.2).
        neighbours: how many other tasks a task's priors, of w and of z, are made of; those with the
            nearest own-data posteriors of w, chosen by `fit`, and by Adam anew at steps 16, 32, 64,
            ..., so that a step's work grows as T. What is left out counts as p_0. 0 leaves p_0 alone, the hierarchical model. None takes all
            up to 500 tasks and 20 beyond: with all, work grows as T^2.
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
    told = False
    """Whether a batch has been warned of."""

    def __init__(
        self,
        likelihood: Any,
        weights: Any,
        latents: Callable[[Tensor], Distribution] | None = None,
        *,
        task_sizes: Sequence[int] | Tensor,
        divergence: str = "jensen",
        sources: str = "auto",
        base_prior: str | Distribution | None = "learned",
        transfer: str | float | None = "stationary",
        weight_samples: int = 10,
        latent_samples: int = 10,
        divergence_samples: int = 10,
        temperature: float | Schedule = 1.0,
        hyperprior: str | None = "weak",
        expectation: str = "exact",
        neighbours: int | None = None,
        own_weights: Any = None,
        own_latents: Any = None,
        own_likelihood: Any = None,
    ):
        super().__init__()
        listed: Any = task_sizes
        listed = listed.tolist() if hasattr(listed, "tolist") else listed
        sizes = list(_checks.sizes("task_sizes", listed))
        require(len(sizes) >= 2, f"`task_sizes` must list at least two tasks; got {sizes}")
        one_of("divergence", divergence, METHODS)
        one_of("sources", sources, SOURCES)
        one_of("hyperprior", hyperprior, ("weak", None))
        one_of("expectation", expectation, ("exact", "sampled"))
        self.tasks, self.divergence = len(sizes), divergence
        self.weight_samples = positive_int("weight_samples", weight_samples)
        self.latent_samples = positive_int("latent_samples", latent_samples)
        self.divergence_samples = positive_int("divergence_samples", divergence_samples)
        self.temperature = as_schedule("temperature", temperature)
        self.hyperprior, self.expectation = hyperprior, expectation
        self.latents_are_inputs = latents is None
        self.average = HyperAverage()
        self.register_buffer("task_sizes", torch.tensor(sizes), persistent=False)
        self.posteriors = Bundle(self.tasks, likelihood, weights, latents)
        self.own: Bundle | None = None
        second = (own_weights, own_latents, own_likelihood, neighbours)
        why = why_no_groups(self, base_prior, transfer, any(one is not None for one in second))
        require(sources != "groups" or why is None, f"`sources='groups'` can't be had: {why}")
        if sources == "auto":
            sources = "groups" if why is None else "own"
        self.sources = sources
        given = {"weights": own_weights, "latents": own_latents, "likelihood": own_likelihood}
        for name, value in given.items():
            require(
                value is None or sources == "own",
                f"`own_{name}` needs sources='own'; got sources={sources!r}",
            )
        require(
            own_latents is None or latents is not None,
            "`own_latents` needs `latents`, whose twin it is; got latents=None",
        )
        if sources in ("own", "groups"):
            self.own = self.posteriors.twin(own_likelihood, own_weights, own_latents)
        q_w = self.posteriors.q_weights()
        if self.own is not None:
            found = tuple(self.own.q_weights().event_shape)
            require(
                found == tuple(q_w.event_shape),
                f"`own_weights` must have the event shape of `weights`, {tuple(q_w.event_shape)}; "
                f"got {found}",
            )
        like = example(q_w)
        require(
            like.is_floating_point(), f"`weights` must be of real numbers; {q_w} draws {like.dtype}"
        )
        few = neighbours if neighbours is not None or self.tasks <= MANY else NEIGHBOURS
        self.prior = WeightsPrior(
            self.tasks,
            q_w.event_shape,
            base_prior,
            transfer,
            own_sources=self.own is not None,
            neighbours=few,
            groups=sources == "groups",
        ).to(like)
        self.latent_mixing: GumbelSoftmaxMixing | None = None
        if latents is not None:
            base = base_prior is not None
            self.latent_mixing = GumbelSoftmaxMixing(self.tasks, base=base, neighbours=few).to(like)

    @classmethod
    def paper(
        cls, likelihood: Any, weights: Any, latents: Any = None, **options: Any
    ) -> "MultiTaskELBO":
        """The choices of Shen et al. 2021: sources "previous", sampled KL, nothing but a mixture.

        The same as `MultiTaskELBO(sources="previous", base_prior=None, transfer=None,
        divergence="monte_carlo", hyperprior=None, expectation="sampled")`; `options` override these and add the rest.
        """
        preset = {
            "sources": "previous",
            "base_prior": None,
            "transfer": None,
            "divergence": "monte_carlo",
            "hyperprior": None,
            "expectation": "sampled",
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
        batch_counts: Tensor | None = None,
    ) -> ELBOTerms:
        """One estimate of the objective from a batch, whose rows are scaled up as in (5.3).

        The estimate is unbiased where every task is in every batch, as in `StratifiedBatches`, of
        which `fit` draws. A random batch of the whole table leaves small tasks out at times, and
        N_t / B_t doesn't make up for it: of 9 rows and 1, in batches of 2, the small task counts
        0.20 of its share.

        Args:
            x: inputs, shape (B, ...).
            y: targets, shape (B, ...).
            task: task ids 0...T-1, shape (B,), in any order. A task absent from the batch
                contributes its KL of w only.
            step: for the temperature schedule.
            generator: source of all randomness; the global stream if None.
            validate: False skips the checks of the data (`fit` has done them once).
            batch_counts: B_t of (5.3), (T,); those of `task` if None. Where several processes hold
                a part of one batch each, the mean over them of the rows that each has: the mean of
                their estimates, and of gradients as in DistributedDataParallel, is then that of the
                whole batch, also where a process has no row of some task.

        Raises:
            ValueError: if x, y, task or batch_counts don't fit together or the model.

        Warns:
            BatchWarning: once, at the first batch with gradients that leaves tasks out.
        """
        validate = validate and not torch.compiler.is_compiling()
        if validate:
            task = self.check(x, y, task)
        scale = self._scale(task, batch_counts, validate)
        x, temperature = as_rows(x), self.temperature(step)
        with seeded(generator):
            fitted = self._evaluate(self.posteriors, x, y, task, validate)
            own = None if self.own is None else self._evaluate(self.own, x, y, task, False)
            own_elbo = self._own_elbo(own, task, scale, like=fitted.log_likelihood)
            kl_w = self._kl_weights(fitted, own, temperature)
            kl_z = self._kl_latents(fitted, own, task, temperature)
        log_likelihood = self._per_task(fitted.log_likelihood, task, scale)
        kl_z = self._per_task(kl_z, task, scale)
        return ELBOTerms(log_likelihood, kl_w, kl_z, self._log_hyperprior(kl_w), own_elbo)

    def _evaluate(
        self, bundle: Bundle, x: Tensor, y: Tensor, task: Tensor, validate: bool
    ) -> Evaluation:
        """One set's posteriors, and the likelihood of samples from them."""
        mixing = self.latent_mixing
        sources = None if mixing is None or mixing.index is None else mixing.index[task]
        q_w, (q_z, encodings) = bundle.q_weights(), bundle.encode(x, task, sources)
        moments = None
        if q_z is None and self.expectation == "exact" and has_expectation(bundle.likelihood):
            moments = linear_moments(q_w, x, task)
        if moments is not None:
            w = q_w.mean[task][None, None]
            rows = exact_log_likelihood(bundle.likelihood, x, w, moments, y, task, validate)
            return Evaluation(q_w, q_z, encodings, rows)
        z, w = draw(q_w, q_z, x, task, self.weight_samples, self.latent_samples)
        rows = expected_log_likelihood(bundle.likelihood, z, w, y, task, validate)
        return Evaluation(q_w, q_z, encodings, rows)

    def _kl_weights(self, fitted: Evaluation, own: Evaluation | None, temperature: float) -> Tensor:
        """KL(q(w_t|D_t) || prior of task t) by the chosen method, (T,)."""
        sources = (fitted if own is None else own).q_weights
        components = self.prior.components(sources if self.sources == "joint" else detach(sources))
        log_alpha = self.prior.mixing.log_weights(temperature)
        return self._divergence(fitted.q_weights, components, log_alpha)

    def _kl_latents(
        self, fitted: Evaluation, own: Evaluation | None, task: Tensor, temperature: float
    ) -> Tensor:
        """KL(q(z|x_n, D_t) || sum_k beta_tk q(z|x_n, D_k)) of each row, (B,)."""
        if self.latent_mixing is None or fitted.q_latents is None:
            return torch.zeros_like(fitted.log_likelihood)
        joint = self.sources == "joint"
        with torch.set_grad_enabled(joint and torch.is_grad_enabled()):
            sources = (fitted if own is None else own).encodings()
        assert sources is not None
        components = latent_components(
            sources if joint else detach(sources), base=self.prior.base is not None
        )
        log_beta = self.latent_mixing.log_weights(temperature)[task]
        return self._divergence(fitted.q_latents, components, log_beta)

    def _divergence(self, q: Distribution, components: Distribution, log_weights: Tensor) -> Tensor:
        return mixture_kl(q, components, log_weights, self.divergence, self.divergence_samples)

    def _own_elbo(
        self, own: Evaluation | None, task: Tensor, scale: Tensor, like: Tensor
    ) -> Tensor:
        """The ELBO that fits the own-data posteriors, (T,). Equation (5.5)."""
        if own is None:
            return like.new_zeros(self.tasks)
        rows = own.log_likelihood
        if own.q_latents is not None:
            anchor = standard_normal_like(own.q_latents)
            rows = rows - pairwise_kl(own.q_latents, anchor).squeeze(-1)
        anchor = self.prior.anchor(own.q_weights.event_shape)
        return self._per_task(rows, task, scale) - pairwise_kl(own.q_weights, anchor).squeeze(-1)

    def _scale(self, task: Tensor, counts: Tensor | None, validate: bool) -> Tensor:
        """N_t / B_t, (T,), B_t those of the batch unless they are given."""
        own = rows_per_task(task, self.tasks)
        if counts is None:
            return self.task_sizes / own.clamp_min(1)
        if validate:
            fits = isinstance(counts, Tensor) and counts.shape == (self.tasks,)
            require(
                fits and bool((torch.isfinite(counts) & (counts >= 0)).all()),
                f"`batch_counts` must be {self.tasks} numbers, finite and not negative; got {counts}",
            )
            none = ((own > 0) & (counts == 0)).nonzero().flatten().tolist()
            require(not none, f"`batch_counts` is 0 of tasks that have rows: {none[:10]}")
        return self.task_sizes / torch.where(counts > 0, counts, 1)

    def _per_task(self, rows: Tensor, task: Tensor, scale: Tensor) -> Tensor:
        """Sum the rows of each task and scale them by N_t / B_t, (T,). Equation (5.3)."""
        sums = rows.new_zeros(self.tasks).index_add(0, task, rows)
        return sums * scale.to(rows.dtype)

    def _log_hyperprior(self, like: Tensor) -> Tensor:
        """Log density of the hyperpriors, once, divided by T like the rest; a scalar."""
        if self.hyperprior is None:
            return like.new_zeros(())
        total = self.prior.log_hyperprior()
        for bundle in (self.posteriors, self.own):
            for one in () if bundle is None else bundle.distinct_likelihoods():
                if hasattr(one, "log_hyperprior"):
                    total = total + one.log_hyperprior().to(total)
        if self.latent_mixing is not None:
            total = total + self.latent_mixing.log_hyperprior()
        return total / self.tasks

    def check(self, x: Tensor, y: Tensor, task: Tensor) -> Tensor:
        """The ids as int64; `ValueError` unless x, y and task are a batch this model can take."""
        task = _checks.long_format(self.tasks, x, task, y)
        counts = rows_per_task(task, self.tasks)
        over = (counts > self.task_sizes).nonzero().flatten().tolist()
        require(
            not over,
            f"`task` must hold no more rows of a task than `task_sizes`; tasks {over[:10]} have "
            f"{counts[over[:10]].tolist()} rows, `task_sizes` says "
            f"{self.task_sizes[over[:10]].tolist()}",
        )
        if (
            torch.is_grad_enabled()
            and self.training
            and not self.told
            and bool((counts == 0).any())
        ):
            self.told = True
            out = (counts == 0).nonzero().flatten().tolist()
            warnings.warn(
                f"the batch leaves out {len(out)} of {self.tasks} tasks, the first {out[:5]}: their KL "
                "counts and their data do not, so that over random batches small tasks count too "
                "little; draw batches by `vmtl_core.StratifiedBatches(task, batch_size)`, a "
                "`batch_sampler` for DataLoader, or by `fit(batch_size=)`",
                BatchWarning,
                stacklevel=5,
            )
        return task

    def settings(self) -> dict[str, Any]:
        """What the parameters' meaning depends on; `state_dict` and `History` carry it."""
        found = {
            "task_sizes": self.task_sizes.tolist(),
            "divergence": self.divergence,
            "sources": self.sources,
            "temperature": described(self.temperature),
            "hyperprior": self.hyperprior,
            "expectation": self.expectation,
            "likelihood": self.posteriors.kinds(),
            "own_likelihood": None if self.own is None else self.own.kinds(),
        }
        return found | self.prior.settings()

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
        return self.prior.mixing.dense(self.prior.mixing.probabilities())

    @torch.no_grad()
    def beta(self) -> Tensor:
        """The same for the latents' prior.

        Raises:
            ValueError: if the model has no latents.
        """
        if self.latent_mixing is None:
            raise ValueError("`beta` needs latents; this model was made with `latents=None`")
        return self.latent_mixing.dense(self.latent_mixing.probabilities())

    @torch.no_grad()
    def choose_sources(self, seed: int = 0) -> None:
        """Choose the `neighbours` of every task anew by the posteriors there are; `fit` does.

        Mixing weights of sources that stay are kept. Without `neighbours`, nothing happens.

        Args:
            seed: of the lines along which the nearest are looked for.
        """
        index = self.prior.mixing.index
        if index is None or not index.shape[1]:
            return
        q = self.source_weights()
        loc, variance = (widest(t.flatten(1)) for t in (q.mean, q.variance))
        found = nearest_means(loc, variance, index.shape[1], seed)
        for mixing in (self.prior.mixing, self.latent_mixing):
            if mixing is not None:
                mixing.choose(found)

    @torch.no_grad()
    def groups(self) -> Tensor:
        """Who belongs where: probability of every task to be in each group, (T, C).

        Largest group first; what is missing to 1 is the probability of being in none. Those of
        the hyperparameters and of the partition that the evidence likes best; `responsibilities`
        are averaged over both.

        Raises:
            ValueError: unless `sources="groups"`.
        """
        mixing = self.prior.mixing
        if not isinstance(mixing, GroupMixing):
            raise ValueError(
                f"`groups` needs sources='groups'; this model has sources={self.sources!r}"
            )
        share = mixing.member[:, :-1]
        return share[:, share.sum(0) > 0.5]

    @torch.no_grad()
    def responsibilities(self) -> Tensor:
        """phi[t, k], which source explains task t: same shape as `alpha`. Equation (4.5).

        With groups, (14.8): how often k is in the group of t over the average of `fit`, each time
        shared among the others there; the last column has the times that t is in a group without
        others, or in none.
        """
        if len(self.average.labels):
            return helpers(self.average.labels).to(self.prior.mixing.logits)
        components = self.prior.components(self.source_weights())
        kl = pairwise_kl(self.q_weights(), components)
        mixing = self.prior.mixing
        return mixing.dense(responsibilities(kl, mixing.log_probabilities()))
