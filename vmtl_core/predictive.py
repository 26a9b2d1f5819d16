"""Posterior predictive distributions, and what their uncertainty is made of."""

import torch
from torch import Generator, Tensor

from vmtl_core._checks import long_format, positive_int, require, room, table
from vmtl_core._modes import evaluating
from vmtl_core._random import seeded
from vmtl_core.answers import Predictive, Uncertainty
from vmtl_core.bundle import as_rows
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.mixtures import PredictiveMixture
from vmtl_core.predictive_rows import PredictiveRows
from vmtl_core.questions import Questions

__all__ = [
    "Predictive",
    "PredictiveMixture",
    "PredictiveRows",
    "Uncertainty",
    "decompose_uncertainty",
    "predictive",
]


@torch.no_grad()
def predictive(
    model: MultiTaskELBO,
    x: Tensor,
    task: Tensor | None = None,
    weight_samples: int = 100,
    latent_samples: int = 10,
    generator: Generator | None = None,
) -> Predictive:
    r"""Posterior predictive of every row: exact where it can be, else a mixture over samples.

    Equation (6.1), with the hyperparameters averaged over too where the fit did:

    $$ p(y|x, t) = \int p(y|z, w)\, q(z|x, D_t)\, q(w|D_t)\, dz\, dw $$

    That z comes from the encoder is a decision: given x alone its law would be the prior (5.1e).

    **Exact**, where z = x, q(w|D_t) is Gaussian and the likelihood (or each of a list) is
    `LinearGaussian`, `LinearBernoulli` or `LinearPoisson`: a mixture of Gaussians, or quadrature over
    the one number z^T w, right to 1e-6. `weight_samples` is then not used.
    **Sampled** otherwise (`LinearCategorical`, latents, likelihoods of the user's), equation (6.2):

    $$ p(y|x, t) \approx \frac{1}{ML} \sum_{l,m} p(y|z^{(l)}, w_t^{(m)}),
       \qquad z^{(l)} \sim q(z|x, D_t),\ w_t^{(m)} \sim q(w|D_t) $$

    `sample(shape)` draws the rows jointly: w once for each task and draw (the hyperparameters once
    for each draw), so that totals and means over a task's rows have their right spread.

    **An unseen task** has an id of T or more; without `task` all rows are of one. Of its w nothing
    is known: it comes from the base prior, or without one from any of the tasks' posteriors,
    widened as in the prior of another task; its noise variance is the tasks' mean. Rows of the
    same unseen id share their w in `sample`.

    Modules run in evaluation mode (dropout off, batch norm fixed) and are put back. Sampled and
    many-row predictives refer to the model: be done with them before it is trained further.

    Args:
        model: a fitted `MultiTaskELBO`.
        x: inputs, shape (N, ...).
        task: task ids, integers of any size, shape (N,); None for rows of one unseen task.
        weight_samples, latent_samples: M and L, of the sampled predictive.
        generator: source of the randomness; the global stream if None.

    Returns:
        Distribution of batch shape (N,) with log_prob, mean, variance, sample, cdf and icdf (the
        last two where the likelihood has a cdf), and probs for labels. A `PredictiveMixture`,
        where one fits into memory; `PredictiveRows`, whose parts are remade batch by batch, for
        more rows or likelihoods of several kinds.

    Raises:
        ValueError: if x and task don't fit together or the model; for negative ids; for unseen
            tasks of a model with latents (they have no encoder) or with likelihoods of several
            kinds.

    Example:
        >>> import vmtl_core as vmtl
        >>> model = vmtl.MultiTaskELBO(
        ...     vmtl.LinearGaussian(scale=2.0),
        ...     vmtl.GaussianWeights(tasks=2, event_shape=(1,), initial_scale=3.0),
        ...     task_sizes=[4, 4],
        ... )
        >>> x, task = torch.ones(2, 1), torch.tensor([0, 1])
        >>> predictive(model, x, task).variance  # 3^2 + 2^2
        tensor([13., 13.])
    """
    positive_int("weight_samples", weight_samples)
    positive_int("latent_samples", latent_samples)
    room("`weight_samples`", weight_samples, model.tasks + 1, *model.q_weights().event_shape)
    room("`weight_samples` and `latent_samples`", weight_samples, latent_samples)
    task = _checked(model, x, task)
    with seeded(generator), evaluating(model.posteriors):
        return Questions(model, as_rows(x), task, weight_samples, latent_samples).answer()


def _checked(model: MultiTaskELBO, x: Tensor, task: Tensor | None) -> Tensor:
    """Task ids as int64; all T, that of an unseen task, without `task`."""
    latents = model.posteriors.latents is not None
    if task is None:
        require(isinstance(x, Tensor), f"`x` must be a tensor; got {type(x).__name__}")
        task = torch.full((len(x) if x.ndim else 1,), model.tasks, device=x.device)
    task = table(x, task)
    negative = task[task < 0].unique().tolist()
    require(
        not negative,
        f"`task` must hold ids 0...{model.tasks - 1}, or higher ones for unseen tasks; "
        f"got {negative[:10]}",
    )
    unseen = task[task >= model.tasks].unique().tolist()
    require(
        not (latents and unseen),
        f"`task` must hold ids 0...{model.tasks - 1}, since this model has latents and an unseen "
        f"task has no encoder; got {unseen[:10]}",
    )
    if not unseen:
        long_format(model.tasks, x, task)
    return task


def decompose_uncertainty(predictive: Predictive) -> Uncertainty:
    r"""Total, aleatoric and epistemic uncertainty of each row; the first is the sum of the others.

    For numbers, by the law of total variance, equation (6.3):
    $\mathrm{Var}[y] = \mathbb{E}_w[\mathrm{Var}(y|w)] + \mathrm{Var}_w[\mathbb{E}(y|w)]$.
    For labels, entropies in nats, equation (6.4):
    $H[\mathbb{E}\,p] = \mathbb{E}_w\,H[\mathbb{E}_z\,p] + I(y; w)$.
    A row's z is drawn anew for every row, so that no number of rows makes it known: its spread is
    aleatoric. Where the hyperparameters are averaged over, what they leave open is epistemic, as
    what w leaves open is. With L draws of z, 1/L of the interaction of z and w counts as epistemic.

    Args:
        predictive: what `predictive` returns.

    Raises:
        ValueError: for any other Distribution, whose parts can't be known.

    References:
        Depeweg et al., *Decomposition of Uncertainty in Bayesian Deep Learning*, 2018.
    """
    require(
        isinstance(predictive, Predictive),
        f"`predictive` must be what `predictive(...)` returns; got {type(predictive).__name__}",
    )
    return predictive.uncertainty()
