"""Variational multi-task learning: tasks whose priors are mixtures of each other's posteriors."""

from vmtl_core.batches import BatchWarning, StratifiedBatches
from vmtl_core.distributions import Concatenated, GaussianColumns
from vmtl_core.divergences import kl_monte_carlo, kl_to_mixture, pairwise_kl
from vmtl_core.elbo import ELBOTerms, MultiTaskELBO
from vmtl_core.likelihoods import (
    LinearBernoulli,
    LinearCategorical,
    LinearGaussian,
    LinearPoisson,
)
from vmtl_core.loading import load
from vmtl_core.mixing import (
    GumbelSoftmaxMixing,
    constant,
    cosine_decay,
    exponential_decay,
    gumbel_softmax,
    linear_decay,
)
from vmtl_core.posteriors import AmortizedWeights, GaussianEncoder, GaussianWeights
from vmtl_core.predictive import (
    Predictive,
    PredictiveMixture,
    PredictiveRows,
    Uncertainty,
    decompose_uncertainty,
    predictive,
)
from vmtl_core.priors import BasePrior, WeightsPrior, mixture_prior
from vmtl_core.saving import save
from vmtl_core.training import (
    ConvergenceWarning,
    History,
    IdentificationWarning,
    Interval,
    NonFiniteError,
    UnitsWarning,
    fit,
)

__version__ = "0.1.0"

__all__ = [
    "AmortizedWeights",
    "BasePrior",
    "BatchWarning",
    "Concatenated",
    "ConvergenceWarning",
    "ELBOTerms",
    "GaussianColumns",
    "GaussianEncoder",
    "GaussianWeights",
    "GumbelSoftmaxMixing",
    "History",
    "IdentificationWarning",
    "Interval",
    "LinearBernoulli",
    "LinearCategorical",
    "LinearGaussian",
    "LinearPoisson",
    "MultiTaskELBO",
    "NonFiniteError",
    "Predictive",
    "PredictiveMixture",
    "PredictiveRows",
    "StratifiedBatches",
    "Uncertainty",
    "UnitsWarning",
    "WeightsPrior",
    "constant",
    "cosine_decay",
    "decompose_uncertainty",
    "exponential_decay",
    "fit",
    "gumbel_softmax",
    "kl_monte_carlo",
    "kl_to_mixture",
    "linear_decay",
    "load",
    "mixture_prior",
    "pairwise_kl",
    "predictive",
    "save",
]
