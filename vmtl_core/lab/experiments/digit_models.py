"""Models of the digits in chapter 10, and how they are fitted and asked."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

import vmtl_core as vmtl
from vmtl_core.lab.baselines import SharedEncoder, features, fit_trunk
from vmtl_core.lab.datasets import MultiTaskData

STEPS, LATENT, CLASSES = 200, 16, 10
FEW: dict[str, Any] = {"weight_samples": 4, "latent_samples": 4}
"""Samples a step; a fit on a hundred images needs no more."""
SAMPLED: dict[str, Any] = FEW | {"expectation": "sampled"}
"""With encoders there is no other expectation, so the models without have this one too."""


def make_classifier(
    train: MultiTaskData, method: str, latent: int = LATENT, seed: int = 0
) -> vmtl.MultiTaskELBO:
    """A model of the labels.

    Args:
        train: scaled images with labels.
        method: one of `digits.DOMAIN_METHODS` that `fit` fits.
        latent: size of z, for the methods with encoders.
        seed: of the networks' first parameters.
    """
    torch.manual_seed(seed)
    tasks, pixels = train.tasks, train.x.shape[1]
    alone = {"base_prior": "standard", "sources": "previous", "transfer": None, "hyperprior": None}
    bare = {"base_prior": None, "hyperprior": None}
    sampled = {"divergence": "monte_carlo", "divergence_samples": 2}
    options: dict[str, dict[str, Any]] = {
        "single": alone,
        "fixed base prior": {"base_prior": "standard"},
        "separate encoders": {"sources": "joint"},
        "shared encoder": {"sources": "joint", "transfer": "learned"} | bare,
        "paper": {"sources": "previous", "transfer": None} | sampled | bare,
    }
    encoder: Any = None
    if method == "shared encoder":
        encoder = SharedEncoder(tasks, pixels, latent)
    elif "encoders" in method or method == "paper":
        encoder = vmtl.GaussianEncoder(tasks, pixels, latent)
    rows = 1 + (pixels if encoder is None else latent)
    weights: Any = vmtl.GaussianWeights(tasks, (rows, CLASSES), covariance="diagonal")
    if method == "amortised":
        weights = vmtl.AmortizedWeights(
            train.x, train.y, train.task, pixels, (64,), tasks, classes=CLASSES
        )
    chosen = SAMPLED | options.get(method, {})
    likelihood = vmtl.LinearCategorical()
    model = vmtl.MultiTaskELBO(likelihood, weights, encoder, task_sizes=train.task_sizes, **chosen)
    if method == "single":
        with torch.no_grad():  # all of the prior's weight on N(0, I)
            model.prior.mixing.logits[:, :-1] = -1e3
        model.prior.mixing.logits.requires_grad_(False)
    return model


def fit(
    model: vmtl.MultiTaskELBO, train: MultiTaskData, steps: int = STEPS, seed: int = 0
) -> vmtl.History:
    """Fit by Adam: networks and mean field have no closed form, and a few hundred steps are meant.

    The learning rate falls along a cosine from 0.1, or from 0.03 or 0.01 with networks.
    """
    networks = {vmtl.AmortizedWeights: 0.01}
    rate = networks.get(type(model.posteriors.weights), 0.1)  # type: ignore[call-overload]
    rate = 0.03 if model.posteriors.latents is not None else rate
    schedule = vmtl.cosine_decay(rate, rate / 100, steps)
    rows = (train.x, train.y, train.task)
    adam: dict[str, Any] = {"method": "adam", "tolerance": None}
    return vmtl.fit(model, *rows, steps, schedule, seed=seed, progress=False, **adam)


def classify(model: vmtl.MultiTaskELBO, data: MultiTaskData, samples: int = 30) -> Tensor:
    """Predictive probabilities (6.2) of the classes, (N, C); a few hundred rows at a time."""
    parts = []
    for rows in torch.arange(len(data)).split(240):
        draw = Generator().manual_seed(0)
        p = vmtl.predictive(model, data.x[rows], data.task[rows], samples, 4, draw)
        parts.append(p.probs)  # type: ignore[union-attr]
    return torch.cat(parts)


def angle_model(train: MultiTaskData, noise: float | None = None) -> vmtl.MultiTaskELBO:
    """The model of the angle: linear with an intercept; the noise scale learned if None.

    Its posteriors are diagonal: full covariances of 197 weights take eight times as long.
    """
    shape = (train.x.shape[1] + 1,)
    weights = vmtl.GaussianWeights(train.tasks, shape, covariance="diagonal")
    return vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(noise),
        weights,
        task_sizes=train.task_sizes,
        weight_samples=4,
        expectation="sampled",
    )


def noise_of_unseen(train: MultiTaskData, seed: int) -> tuple[float, float]:
    """Noise scale of the angles where the features have not seen them.

    A trunk is fitted to three images in five.  On the others: the noise scale that the default
    learns from the trunk's features, and the trunk's own root mean square error.
    """
    seen, unseen = train.split(3 * len(train) // (5 * train.tasks), seed)
    trunk = fit_trunk(seen, seed=seed)
    (rest,) = features(trunk, unseen)
    model = angle_model(rest)
    fit(model, rest, seed=seed)
    with torch.no_grad():
        error = (trunk(unseen.x, unseen.task)[:, 0] - unseen.y).square().mean().sqrt()
    return model.posteriors.likelihood.log_scale.exp().item(), error.item()


def predict_angles(model: vmtl.MultiTaskELBO, data: MultiTaskData) -> vmtl.PredictiveMixture:
    """Predictive (6.2) of the angle, batch shape (N,)."""
    found = vmtl.predictive(model, data.x, data.task, 50, generator=Generator().manual_seed(0))
    assert isinstance(found, vmtl.PredictiveMixture)
    return found
