"""Baselines against dense formulas, other libraries, textbook variances and reference scores."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import BayesianRidge
from statsmodels.regression.mixed_linear_model import MixedLM
from torch import Tensor
from torch.distributions import MultivariateNormal

from vmtl_core.lab import baselines
from vmtl_core.lab.baselines import (
    GaussianHierarchy,
    condition,
    design,
    fit_hierarchy,
    mixed,
    task_moments,
)
from vmtl_core.lab.datasets import MultiTaskData, clusters, linked_tasks, rail_choices, schools
from vmtl_core.lab.scores import Prediction, accuracy, coverage, log_score, nmse

# NMSE on schools at 5 and 10 pupils a school; mean of several random splits, other code.
REFERENCE = {5: (0.567, 0.406, 0.370), 10: (0.509, 0.421, 0.362)}


def regression(*sizes: int, inputs: int = 2, seed: int = 0) -> MultiTaskData:
    """Tasks of the given sizes with weights about (1, 1, ...), sd 0.5, and noise 0.6; float64."""
    generator = torch.Generator().manual_seed(seed)
    task = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    task = task[torch.randperm(len(task), generator=generator)]

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    weights = 1 + 0.5 * normal(len(sizes), inputs + 1)
    x = normal(len(task), inputs)
    y = (design(x, True) * weights[task]).sum(1) + 0.6 * normal(len(task))
    names = tuple(f"t{t}" for t in range(len(sizes)))
    return MultiTaskData(x, y, task, names, tuple(f"x{d}" for d in range(inputs)), "y", "made up")


def scores(split: tuple[MultiTaskData, MultiTaskData], method: Callable[..., Prediction]) -> float:
    train, test = split
    return nmse(method(train, test).mean, test.y).item()


def dense(
    train: MultiTaskData, test: MultiTaskData, v: Tensor, s: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Best linear unbiased prediction from the covariance of all targets at once.

    Returns the predictive mean and variance and the log density of the training targets.
    """
    a, b = design(train.x, True), design(test.x, True)
    y = train.y
    same = (train.task[:, None] == train.task).double()
    k = (a * v) @ a.T * same + s * torch.eye(len(a), dtype=torch.float64)
    cross = (b * v) @ a.T * (test.task[:, None] == train.task).double()
    solved = torch.linalg.solve(k, a)
    information = a.T @ solved
    mean = torch.linalg.solve(information, solved.T @ y)
    gain = torch.linalg.solve(k, cross.T).T
    predicted = b @ mean + gain @ (y - a @ mean)
    left = b - gain @ a  # what of the fixed effects the random ones do not explain
    variance = (b * v * b).sum(1) + s - (gain * cross).sum(1)
    variance += (left @ torch.linalg.inv(information) * left).sum(1)
    return predicted, variance, MultivariateNormal(a @ mean, k).log_prob(y)


@pytest.mark.parametrize("v", [(0.3, 0.2, 0.1), (0.5, 0.0, 2.0)], ids=["all random", "one fixed"])
def test_hierarchy_is_the_dense_gaussian_posterior(v: tuple[float, ...]) -> None:
    train, test = regression(5, 1, 3, 8), regression(2, 2, 2, 2, seed=1)
    variance, s = torch.tensor(v, dtype=torch.float64), 0.36
    fit = condition(task_moments(train, True), variance, torch.tensor(s).double(), True)
    mean, spread, log_density = dense(train, test, variance, s)
    prediction = fit.predict(test)
    assert prediction.sd is not None
    torch.testing.assert_close(prediction.mean, mean)
    torch.testing.assert_close(prediction.sd.square(), spread)
    torch.testing.assert_close(fit.log_marginal_likelihood, log_density)


def test_hierarchy_takes_a_covariance_of_the_weights() -> None:
    train, test = regression(5, 1, 3, 8), regression(2, 2, 2, 2, seed=1)
    moments, s = task_moments(train, True), torch.tensor(0.36).double()
    root = torch.tensor([[0.5, 0.0, 0.0], [0.4, 0.3, 0.0], [-0.2, 0.1, 0.0]]).double()
    v = root @ root.T  # singular
    fit = condition(moments, v, s, True)
    a, b = design(train.x, True), design(test.x, True)
    same = (train.task[:, None] == train.task).double()
    k = a @ v @ a.T * same + s * torch.eye(len(a), dtype=torch.float64)
    cross = b @ v @ a.T * (test.task[:, None] == train.task).double()
    information = a.T @ torch.linalg.solve(k, a)
    mean = torch.linalg.solve(information, a.T @ torch.linalg.solve(k, train.y))
    gain = torch.linalg.solve(k, cross.T).T
    prediction = fit.predict(test)
    torch.testing.assert_close(prediction.mean, b @ mean + gain @ (train.y - a @ mean))
    left = b - gain @ a
    variance = (b @ v * b).sum(1) + s - (gain * cross).sum(1)
    variance += (left @ torch.linalg.inv(information) * left).sum(1)
    assert prediction.sd is not None
    torch.testing.assert_close(prediction.sd.square(), variance)
    log_density = MultivariateNormal(a @ mean, k).log_prob(train.y)
    torch.testing.assert_close(fit.log_marginal_likelihood, log_density)
    diagonal = torch.tensor([0.3, 0.2, 0.1]).double()
    one, two = (condition(moments, v, s, True) for v in (diagonal, diagonal.diag()))
    torch.testing.assert_close(one.task_covariance, two.task_covariance)


def test_a_wide_prior_is_kept_and_the_noise_fitted() -> None:
    train = regression(9, 9, 9)
    fit = fit_hierarchy(train, learn_mean=False, isotropic=True, sd=3.0)
    unit = (train.y.square().mean() / design(train.x, True).square().mean(0)).mean()
    torch.testing.assert_close(fit.population_variance, (9 * unit).expand(3))
    moments = task_moments(train, True)
    for ratio in (0.97, 1.03):
        other = condition(
            moments, fit.population_variance, fit.noise_variance * ratio, True, learn_mean=False
        )
        assert other.log_marginal_likelihood < fit.log_marginal_likelihood
    wide = baselines.single_task_bayes(train, train, sd=3.0)
    torch.testing.assert_close(wide.mean, fit.predict(train).mean)


def correlated(seed: int, tasks: int = 40) -> MultiTaskData:
    """Intercepts and slopes of sd 1 with a correlation of -0.9; six points a task, noise 0.3."""
    generator = torch.Generator().manual_seed(seed)
    task = torch.arange(tasks).repeat_interleave(6)
    root = torch.tensor([[1.0, 0.0], [-0.9, 0.19**0.5]])
    weights = torch.randn(tasks, 2, generator=torch.Generator().manual_seed(9)) @ root.T
    x = 1 + torch.randn(len(task), 1, generator=generator)
    y = (design(x, True) * weights[task]).sum(1) + 0.3 * torch.randn(len(task), generator=generator)
    names = tuple(f"t{t}" for t in range(tasks))
    return MultiTaskData(x, y.to(x), task, names, ("x",), "y", "made up")


def test_correlated_weights_are_seen() -> None:
    train = correlated(0)
    fit = mixed.fit_correlated(train)
    v = fit.population_variance
    assert v.shape == (2, 2)
    assert (v[0, 1] / (v[0, 0] * v[1, 1]).sqrt()).item() == pytest.approx(-0.9, abs=0.08)
    assert fit.noise_variance.sqrt().item() == pytest.approx(0.3, abs=0.03)
    few = train.rows(torch.arange(len(train)) % 6 < 2)  # two points a task
    test = correlated(1)
    found = [
        log_score(method(few, test).distribution(), test.y).item()
        for method in (baselines.correlated_mixed, baselines.hierarchical_mixed)
    ]
    assert found[0] > found[1] + 0.1


def test_correlated_falls_back_to_independent_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError

    train = regression(6, 6, 6, 6)
    wanted = mixed.fit_mixed(train)
    monkeypatch.setattr(mixed.MixedLM, "fit", fail)
    monkeypatch.setattr(mixed, "fit_mixed", lambda *_: wanted)
    assert mixed.fit_correlated(train) is wanted


def test_hierarchy_predicts_a_task_without_data_from_the_population() -> None:
    train = regression(6, 6, 6)
    train = train.rows(train.task < 2)
    test = regression(2, 2, 2, seed=3)
    fit = fit_hierarchy(train)
    third = test.task == 2
    torch.testing.assert_close(fit.task_mean[2], fit.population_mean)
    covariance = fit.population_variance.diag() + fit.population_mean_covariance
    x = design(test.x[third], True)
    wanted = ((x @ covariance * x).sum(1) + fit.noise_variance).sqrt()
    sd = fit.predict(test.rows(third)).sd
    assert sd is not None
    torch.testing.assert_close(sd, wanted)


def one_way(tasks: int = 8, each: int = 5) -> tuple[MultiTaskData, float, float]:
    """Balanced data with an intercept only, and their mean squares between and within tasks."""
    data = replace(regression(*[each] * tasks, inputs=0, seed=2), train_size=None)
    means = torch.stack([data.y[data.task == t].mean() for t in range(tasks)])
    between = each * means.var().item()
    within = ((data.y - means[data.task]) ** 2).sum().item() / (tasks * (each - 1))
    return data, between, within


def test_variances_are_those_of_balanced_one_way_analysis_of_variance() -> None:
    data, between, within = one_way()
    assert between * 7 / 8 > 2 * within
    fit = fit_hierarchy(data)  # maximum likelihood divides by T ...
    assert fit.noise_variance.item() == pytest.approx(within, rel=1e-4)
    wanted = (between * 7 / 8 - within) / 5
    assert fit.population_variance.item() == pytest.approx(wanted, rel=1e-4)
    fit = mixed.fit_mixed(data)  # ... and restricted likelihood by T - 1
    assert fit.noise_variance.item() == pytest.approx(within, rel=1e-3)
    assert fit.population_variance.item() == pytest.approx((between - within) / 5, rel=1e-3)


def test_fit_maximises_the_marginal_likelihood_as_statsmodels_does() -> None:
    data = regression(*[7] * 20, inputs=1)
    fit = fit_hierarchy(data)
    x, y, task = design(data.x, True).numpy(), data.y.numpy(), data.task.numpy()
    free = mixed.VCSpec(
        ["a", "b"],
        [[["a"]] * 20, [["b"]] * 20],
        [[x[task == t][:, [d]] for t in range(20)] for d in range(2)],
    )
    other = MixedLM(y, x, groups=task, exog_vc=free).fit(method=["powell"], reml=False)
    assert fit.log_marginal_likelihood.item() == pytest.approx(other.llf, abs=1e-3)
    np.testing.assert_allclose(fit.population_variance, other.vcomp, rtol=0.02)
    np.testing.assert_allclose(fit.noise_variance, other.scale, rtol=0.01)
    np.testing.assert_allclose(fit.population_mean, other.fe_params, rtol=1e-3)
    np.testing.assert_allclose(
        fit.population_mean_covariance.diagonal().sqrt(), other.bse_fe, rtol=0.01
    )
    blup = torch.tensor(np.stack([other.random_effects[t] for t in range(20)]))
    torch.testing.assert_close(fit.task_mean - fit.population_mean, blup, rtol=0.02, atol=1e-3)


def test_fit_does_not_depend_on_units() -> None:
    data = regression(6, 6, 6, 6)
    fit = fit_hierarchy(data)
    scaled = fit_hierarchy(replace(data, x=data.x * 1000, y=data.y / 50))
    ratio = scaled.population_variance * torch.tensor([2500.0, 2.5e9, 2.5e9]).double()
    torch.testing.assert_close(ratio, fit.population_variance, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(scaled.noise_variance * 2500, fit.noise_variance, rtol=1e-3, atol=0)


def test_mixed_falls_back_to_a_random_intercept(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, tried = mixed._fit, []

    def slopes_fail(x: np.ndarray, train: MultiTaskData, columns: mixed.Columns) -> object:
        tried.append(len(columns))
        return fit(x, train, columns) if len(columns) == 1 else None

    monkeypatch.setattr(mixed, "_fit", slopes_fail)
    result = mixed.fit_mixed(regression(6, 6, 6, 6))
    assert tried == [3, 1]
    assert result.population_variance[0] > 0.01
    assert result.population_variance[1:].tolist() == [0, 0]
    monkeypatch.setattr(mixed, "_fit", lambda *_: None)
    with pytest.raises(RuntimeError, match="did not converge"):
        mixed.fit_mixed(regression(6, 6))


def test_mixed_and_gaussian_hierarchy_agree_with_many_tasks() -> None:
    train, test = clusters(tasks=40, clusters=1, inputs=2, between_sd=0.5).split()
    one = baselines.hierarchical_gaussian(train, test, intercept=False)
    two = baselines.hierarchical_mixed(train, test, intercept=False)
    assert one.sd is not None
    assert two.sd is not None
    assert (one.mean - two.mean).abs().max() < 0.05
    assert (one.sd / two.sd - 1).abs().max() < 0.05


def test_pooled_bayes_is_scikit_learn_s_evidence_approximation() -> None:
    train, test = regression(12, inputs=4), regression(9, inputs=4, seed=1)
    other = BayesianRidge(
        fit_intercept=False, alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0, tol=1e-9, max_iter=3000
    )
    other.fit(design(train.x, True).numpy(), train.y.numpy())
    mean, sd = other.predict(design(test.x, True).numpy(), return_std=True)
    prediction = baselines.pooled_bayes(train, test)
    assert prediction.sd is not None
    np.testing.assert_allclose(prediction.mean, mean, rtol=1e-4)
    np.testing.assert_allclose(prediction.sd, sd, rtol=1e-4)


def test_single_task_bayes_shares_nothing_or_two_numbers() -> None:
    train, test = regression(9, 9), regression(5, 5, seed=1)
    alone = baselines.single_task_bayes(train, test, shared=False)
    for t in (0, 1):
        here = test.task == t
        one = baselines.pooled_bayes(train.rows(train.task == t), test.rows(here))
        torch.testing.assert_close(alone.mean[here], one.mean)
    shared = baselines.single_task_bayes(train, test)
    changed = replace(train, y=torch.where(train.task == 1, -train.y, train.y))
    again = baselines.single_task_bayes(changed, test)  # a flipped task 1 has the same scales,
    here = test.task == 0  # so nothing of it reaches task 0
    torch.testing.assert_close(again.mean[here], shared.mean[here])
    torch.testing.assert_close(again.mean[~here], -shared.mean[~here])
    assert (alone.mean - shared.mean).abs().max() > 1e-4


def test_ridge_solves_its_normal_equations_task_by_task() -> None:
    train, test = regression(4, 7, 2), regression(3, 3, 3, seed=1)
    prediction = baselines.single_task_ridge(train, test, penalty=2.5)
    for t in range(3):
        a, y = design(train.x, True)[train.task == t], train.y[train.task == t]
        w = torch.linalg.solve(a.T @ a + 2.5 * torch.eye(3, dtype=torch.float64), a.T @ y)
        wanted = design(test.x, True)[test.task == t] @ w
        torch.testing.assert_close(prediction.mean[test.task == t], wanted)
    a = train.x
    w = torch.linalg.solve(a.T @ a + 0.7 * torch.eye(2, dtype=torch.float64), a.T @ train.y)
    pooled = baselines.pooled_ridge(train, test, penalty=0.7, intercept=False)
    torch.testing.assert_close(pooled.mean, test.x @ w)


def random_intercepts(train: MultiTaskData, test: MultiTaskData) -> Prediction:
    return baselines.hierarchical_mixed(train, test, random_slopes=False)


@pytest.mark.parametrize("pupils", REFERENCE)
def test_schools_reproduce_the_reference_errors(pupils: int) -> None:
    splits = []
    for seed in range(3):
        train, test = schools().split(pupils, seed)
        train, test = train.standardise(test)
        splits.append((train, test))
    methods: tuple[Callable[..., Prediction], ...] = (
        baselines.single_task_ridge,
        baselines.pooled_ridge,
        baselines.hierarchical_gaussian,
    )
    for method, reference in zip(methods, REFERENCE[pupils], strict=True):
        mean = sum(scores(split, method) for split in splits) / len(splits)
        assert mean == pytest.approx(reference, abs=0.03), method.__name__
    intercepts = [scores(split, random_intercepts) for split in splits]
    assert sum(intercepts) / len(splits) == pytest.approx(REFERENCE[pupils][2], abs=0.03)


def test_predictive_densities_are_calibrated_and_ranked() -> None:
    train, test = clusters(tasks=60, clusters=1, between_sd=0.3, seed=1).split()
    found = {}
    for method in (
        baselines.single_task_bayes,
        baselines.pooled_bayes,
        baselines.hierarchical_gaussian,
    ):
        predicted = method(train, test, intercept=False).distribution()
        found[method.__name__] = log_score(predicted, test.y).item()
        assert coverage(predicted, test.y).item() == pytest.approx(0.9, abs=0.04)
    assert found["hierarchical_gaussian"] > found["pooled_bayes"] + 0.05
    assert found["hierarchical_gaussian"] > found["single_task_bayes"] + 0.05


def saturated() -> MultiTaskData:
    """One binary input; class 1 in 1/4 and 3/4 of task 0's cells, 1/2 and 1/4 of task 1's."""
    ones = {(0, 0.0): 2, (0, 1.0): 6, (1, 0.0): 4, (1, 1.0): 2}
    rows = [(t, x, float(i < n)) for (t, x), n in ones.items() for i in range(8)]
    task, x, y = (torch.tensor(column) for column in zip(*rows, strict=True))
    return MultiTaskData(x[:, None], y, task, ("a", "b"), ("x",), "y", "", kind="classification")


def test_logistic_regressions_fit_the_cells_that_they_may() -> None:
    data = saturated()
    single = baselines.single_task_logistic(data, data, penalty=1e-7).probs[:, 1]
    pooled = baselines.pooled_logistic(data, data, penalty=1e-7).probs[:, 1]
    cells = single.reshape(4, 8)[:, 0]
    torch.testing.assert_close(cells, torch.tensor([0.25, 0.75, 0.5, 0.25]), atol=1e-3, rtol=0)
    cells = pooled.reshape(4, 8)[:, 0]
    torch.testing.assert_close(cells, torch.tensor([0.375, 0.5] * 2), atol=1e-3, rtol=0)


def test_logistic_regression_s_penalty_is_half_the_squared_weight() -> None:
    data = saturated().subset([0])
    probs = baselines.pooled_logistic(data, data, penalty=3.0).probs[:, 1].double()
    logit = probs.logit()
    slope = logit[8] - logit[0]
    residual = data.y.double() - probs
    assert residual.sum().abs() < 1e-3  # the intercept is free
    assert (residual * data.x[:, 0]).sum().item() == pytest.approx(3.0 * slope.item(), abs=1e-3)


def test_logistic_regression_without_intercept_is_even_at_zero() -> None:
    data = saturated()
    for method in (baselines.single_task_logistic, baselines.pooled_logistic):
        probs = method(data, data, intercept=False).probs
        assert (probs[data.x[:, 0] == 0] == 0.5).all()
    single = baselines.single_task_logistic(data, data, penalty=1e-7, intercept=False).probs
    torch.testing.assert_close(single[15, 1], torch.tensor(0.75), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("choices", "single", "pooled"), [(5, 0.635, 0.683), (10, 0.738, 0.713)])
def test_rail_choices_reproduce_the_reference_accuracies(
    choices: int, single: float, pooled: float
) -> None:
    train, test = rail_choices().split(choices)
    train, test = train.standardise(test)
    for method, reference in (
        (baselines.single_task_logistic, single),
        (baselines.pooled_logistic, pooled),
    ):
        found = accuracy(method(train, test, intercept=False).probs, test.y).item()
        assert found == pytest.approx(reference, abs=0.04), method.__name__


def test_a_task_with_one_class_gets_smoothed_frequencies() -> None:
    data = saturated()
    train = data.rows((data.task == 1) | (data.y == 1))
    labels = torch.where(data.task == 1, 2 * data.y, data.y)  # three classes, task 0 shows one
    train = replace(train, y=labels[(data.task == 1) | (data.y == 1)])
    probs = baselines.single_task_logistic(train, data).probs
    torch.testing.assert_close(probs[0], torch.tensor([1 / 11, 9 / 11, 1 / 11]))
    assert probs[16, 1] == 0  # a class that task 1 never showed
    torch.testing.assert_close(probs.sum(1), torch.ones(len(data)))


def test_pooling_hurts_where_a_task_stands_alone() -> None:
    train, test = linked_tasks().split()
    single = baselines.single_task_logistic(train, test).probs
    pooled = baselines.pooled_logistic(train, test).probs
    assert accuracy(single, test.y) > 0.75
    alone = test.task == 2
    assert accuracy(single[alone], test.y[alone]) > accuracy(pooled[alone], test.y[alone]) + 0.2


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "untrained task": (
        lambda: baselines.single_task_ridge(
            regression(3, 3).rows(torch.arange(6) < 0), regression(2, 2)
        ),
        r"`train` .* ids \[0, 1\] have no example",
    ),
    "inputs": (
        lambda: baselines.pooled_bayes(regression(3, 3), regression(3, 3, inputs=3)),
        r"2 tasks, 2 inputs\); got 2 tasks, 3 inputs",
    ),
    "labels": (
        lambda: baselines.pooled_logistic(regression(3, 3), regression(3, 3)),
        r"`y` must hold class labels",
    ),
    "flat target": (
        lambda: fit_hierarchy(replace(regression(3, 3), y=torch.zeros(6))),
        r"`train` .* not all 0",
    ),
    "fewer examples than weights": (
        lambda: fit_hierarchy(regression(2, 2, inputs=4)),
        r"`train` .* more examples than the 5 weights.* got 4",
    ),
    "point prediction": (
        lambda: Prediction(torch.zeros(2)).distribution(),
        r"`sd` .* got None",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_hierarchy_keeps_to_float64_and_predicts_in_the_data_s_type() -> None:
    train, test = clusters().split()
    fit: GaussianHierarchy = fit_hierarchy(train, intercept=False)
    assert fit.task_mean.dtype == torch.float64
    assert fit.predict(test).mean.dtype == torch.float32
