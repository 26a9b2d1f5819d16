"""What a statistician would pick instead: mixed models by statsmodels and gpboost, NUTS by numpyro.

All three are one model: a regression for each task, its weights from one Gaussian population,
independent of each other. Each function takes a training and a test set and a seed, and returns the
predictive of the test set's targets. gpboost and numpyro are extras, `pip install vmtl-core[bench]`.
"""

import time
import warnings
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    MixtureSameFamily,
    Normal,
    Poisson,
)

from vmtl_core.lab.baselines import hierarchical_mixed
from vmtl_core.lab.baselines.gaussian_hierarchy import condition
from vmtl_core.lab.baselines.moments import design, task_moments
from vmtl_core.lab.datasets import MultiTaskData

CHAINS, WARMUP, DRAWS = 4, 500, 500
LOG_UNIT = 2.5
"""Of weights of log odds and log rates, after Gelman and others, *A weakly informative default prior
distribution for logistic and other regression models*, 2008."""
NODES = 30
"""Of a quadrature over a log rate."""
GPBOOST = {"regression": "gaussian", "classification": "bernoulli_logit", "counts": "poisson"}
"""Its names of the likelihoods."""


class Fit(NamedTuple):
    """What a method predicts, and what is worth knowing about its fit."""

    predictive: Distribution
    """Of the test set's targets, batch shape (N,)."""
    note: str = ""


def has_intercept(data: MultiTaskData) -> bool:
    """Standardised tables have one; generated sets and differences of options have none."""
    return data.scaling is not None


def arrays(data: MultiTaskData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs (N, D) in float64, a column of ones first if there is an intercept; targets; tasks."""
    x = design(data.x, has_intercept(data)).numpy()
    return x, data.y.double().numpy(), data.task.numpy()


def mixedlm_slopes(train: MultiTaskData, test: MultiTaskData, seed: int = 0) -> Fit:
    """statsmodels: restricted likelihood by its own searches, then the exact posterior.

    Every weight varies between tasks, independently. Where the searches fail, Powell's, four times
    as slow, and then a random intercept alone: `baselines.hierarchical_mixed`.
    """
    intercept = has_intercept(train)
    x, y, task = arrays(train)
    groups, columns = [task == t for t in np.unique(task)], range(x.shape[1])
    spec = VCSpec(
        [f"w{d}" for d in columns],
        [[[f"w{d}"]] * len(groups) for d in columns],
        [[x[rows][:, [d]] for rows in groups] for d in columns],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence is read from the result instead
        try:
            result = MixedLM(y, x, groups=task, exog_vc=spec).fit(reml=True)
        except np.linalg.LinAlgError:
            result = None
    if result is None or not result.converged:
        other = hierarchical_mixed(train, test, intercept)
        return Fit(other.distribution(), "Powell's search; the default ones failed")
    variances, noise = torch.tensor(result.vcomp), torch.tensor(float(result.scale)).double()
    fitted = condition(task_moments(train, intercept), variances, noise, intercept)
    return Fit(fitted.predict(test).distribution())


def gpboost_slopes(train: MultiTaskData, test: MultiTaskData, seed: int = 0) -> Fit:
    """gpboost: Gaussian exactly, logistic and Poisson by a Laplace approximation.

    Cholesky factors in the place of its default, which is iterative and random where there are
    several slopes: five times as fast here, and on small sets the default's predictive variances
    come out negative. Else its own settings. The predictive counts the uncertainty of the random effects, not that of the fixed ones.
    """
    import gpboost

    first = int(has_intercept(train))  # its random intercept is not an input
    x, y, task = arrays(train)
    x_new, _, task_new = arrays(test)
    regression = train.kind == "regression"
    model = gpboost.GPModel(
        group_data=task,
        group_rand_coef_data=x[:, first:],
        ind_effect_group_rand_coef=[1] * (x.shape[1] - first),
        drop_intercept_group_rand_effect=[not first],
        likelihood=GPBOOST[train.kind],
        matrix_inversion_method="cholesky",
        num_parallel_threads=1,
    )
    model.fit(y=y, X=x)
    found = model.predict(
        X_pred=x_new,
        group_data_pred=task_new,
        group_rand_coef_data_pred=x_new[:, first:],
        predict_var=train.kind != "classification",
        predict_response=train.kind != "counts",
    )
    mean = torch.as_tensor(found["mu"])
    if train.kind == "counts":
        return Fit(_poisson_log_normal(mean, torch.as_tensor(found["var"]).sqrt()))
    if regression:
        return Fit(Normal(mean, torch.as_tensor(found["var"]).sqrt()))
    return Fit(Bernoulli(probs=mean.clamp(0, 1)))  # it may miss 1 by a rounding


def _poisson_log_normal(mean: torch.Tensor, sd: torch.Tensor) -> Distribution:
    """Counts whose log rate is Normal, by Gauss-Hermite quadrature."""
    node, weight = np.polynomial.hermite_e.hermegauss(NODES)
    rate = (mean[:, None] + sd[:, None] * torch.as_tensor(node)).exp()
    share = torch.as_tensor(weight).expand_as(rate)
    return MixtureSameFamily(Categorical(probs=share), Poisson(rate))


def nuts_hierarchy(train: MultiTaskData, test: MultiTaskData, seed: int = 0) -> Fit:
    """numpyro: full Bayes by NUTS, four chains, mixture over all draws. Seconds count compiling.

    Chains run one after the other in one program: `chain_method="sequential"` compiles one for each
    chain, twice the time, and "vectorized" makes every chain wait for the longest trajectory.
    """
    import jax

    began, compiling = time.perf_counter(), _compile_times()
    x, y, task = arrays(train)
    chains = _chains(train.kind, train.tasks)
    unit = np.sqrt((y**2).mean()) if train.kind == "regression" else LOG_UNIT
    key, extra = jax.random.PRNGKey(seed), ("diverging",)
    rows = (x.astype("float32"), task, y.astype("float32"), np.float32(unit))
    chains.run(key, *rows, extra_fields=extra)
    draws = {name: np.asarray(one) for name, one in chains.get_samples(True).items()}
    divergent = int(chains.get_extra_fields()["diverging"].sum())
    share = sum(compiling) / (time.perf_counter() - began)
    note = f"{divergent} divergent, {_convergence(draws)}, compiling {share:.0%} of the time"
    return Fit(_mixture(draws, test), note)


@cache
def _chains(kind: str, tasks: int) -> Any:
    """The sampler of a model, kept because it compiles once for data of one shape."""
    import jax
    from numpyro.infer import MCMC, NUTS

    counts = {"num_warmup": WARMUP, "num_samples": DRAWS, "num_chains": CHAINS}
    mapped = partial(partial, jax.lax.map)
    kernel = NUTS(_population(kind, tasks))
    return MCMC(kernel, **counts, chain_method=mapped, progress_bar=False, jit_model_args=True)


def _compile_times() -> list[float]:
    """A list that every program jax compiles from now on adds its seconds to."""
    import jax

    found: list[float] = []

    def listen(event: str, seconds: float, **others: Any) -> None:
        if event.endswith("backend_compile_duration"):
            found.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return found


def _population(kind: str, tasks: int) -> Any:
    """w_t = m_0 + s_0 * eps_t, priors of the scale usual for standardised inputs.

    m_0 normal, s_0 half-normal, both of scale `unit`: the root mean square of a regression's target,
    `LOG_UNIT` for log odds and log rates.
    """
    import jax
    import numpyro
    from numpyro.distributions import Bernoulli, HalfNormal, Normal, Poisson

    def model(x: Any, task: Any, y: Any, unit: Any) -> None:
        size = x.shape[1]
        m = numpyro.sample("m", Normal(0, unit).expand([size]).to_event(1))
        s = numpyro.sample("s", HalfNormal(unit).expand([size]).to_event(1))
        eps = numpyro.sample("eps", Normal(0, 1).expand([tasks, size]).to_event(2))
        w = numpyro.deterministic("w", m + s * eps)
        eta = (x * w[task]).sum(-1)
        if kind == "regression":
            numpyro.sample("y", Normal(eta, numpyro.sample("noise", HalfNormal(unit))), obs=y)
        elif kind == "counts":
            numpyro.sample("y", Poisson(jax.numpy.exp(eta)), obs=y)
        else:
            numpyro.sample("y", Bernoulli(logits=eta), obs=y)

    return model


def _convergence(draws: dict[str, np.ndarray]) -> str:
    """The largest R-hat and the smallest effective sample size of any parameter."""
    from numpyro.diagnostics import summary

    free = {name: one for name, one in draws.items() if name != "w"}
    found = summary(free, group_by_chain=True).values()
    r_hat = max(float(np.max(one["r_hat"])) for one in found)
    size = min(float(np.min(one["n_eff"])) for one in found)
    return f"R-hat up to {r_hat:.3f}, {size:.0f} effective draws or more"


def _mixture(draws: dict[str, np.ndarray], test: MultiTaskData) -> Distribution:
    """The average predictive over draws of w, (chains, draws, T, D), and of the noise."""
    x, _, task = arrays(test)
    w = draws["w"].reshape(-1, *draws["w"].shape[2:])
    eta = torch.as_tensor(np.einsum("nd,rnd->nr", x, w[:, task]))
    if test.kind == "counts":
        return MixtureSameFamily(Categorical(logits=torch.zeros_like(eta)), Poisson(eta.exp()))
    if "noise" not in draws:
        return Bernoulli(probs=eta.sigmoid().mean(1))
    noise = torch.tensor(draws["noise"].reshape(-1)).to(eta).expand_as(eta)
    return MixtureSameFamily(Categorical(logits=torch.zeros_like(eta)), Normal(eta, noise))
