"""A fitted model with groups: its prior, its objective, its map, and the predictive, once more by hand."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

import vmtl_core as vmtl
from tests import oracle
from tests.closed_form.group_fits import TASKS, fitted
from vmtl_core.group_mixing import GroupMixing

KINDS = ["gaussian", "labels", "counts"]


def memberships(model: vmtl.MultiTaskELBO) -> Tensor:
    """(T, C + 1)."""
    mixing = model.prior.mixing
    assert isinstance(mixing, GroupMixing)
    return mixing.member


every_kind = pytest.mark.parametrize("kind", KINDS)


def components(model: vmtl.MultiTaskELBO, t: int) -> list[MultivariateNormal]:
    """What every group says of task t without it, and p_0, by (14.3), task by task in matrices.

    In units of w: p_0 is N(o + B m_0, B V_0 B'), and so on.
    """
    prior = model.prior
    assert prior.base is not None
    assert prior.log_width is not None
    units, size = prior.units, len(prior.base.loc)
    turn, offset = torch.eye(size), torch.zeros(size)
    if units.basis is not None and units.offset is not None:
        turn, offset = units.basis[0], units.offset[0]
    mean, whole = prior.base.loc, (2 * prior.base.log_scale).exp()
    share = (1 + (2 * prior.log_width).exp()).reciprocal()
    between, within = (whole * share).diag(), (whole * (1 - share)).diag()
    own = model.source_weights()
    assert isinstance(own, MultivariateNormal)
    inverse = torch.linalg.inv(turn)
    found = []
    member = memberships(model)
    for c in range(member.shape[1] - 1):
        precision = torch.linalg.inv(between)
        natural = precision @ mean
        for k in range(model.tasks):
            if k == t:
                continue
            covariance = inverse @ own.covariance_matrix[k] @ inverse.T
            loc = inverse @ (own.mean[k] - offset)
            site = torch.linalg.inv(covariance) - whole.reciprocal().diag()
            pull = torch.linalg.inv(covariance) @ loc - mean / whole
            # exp(-w'Aw/2 + b'w) with w ~ N(g, V_w) integrated out, of g.
            smooth = torch.linalg.inv(torch.eye(size) + site @ within)
            precision = precision + member[k, c] * smooth @ site
            natural = natural + member[k, c] * smooth @ pull
        covariance = torch.linalg.inv(precision)
        found.append((covariance @ natural, covariance + within))
    found.append((mean, whole.diag()))
    return [
        MultivariateNormal(offset + turn @ loc, turn @ (0.5 * (v + v.T)) @ turn.T)
        for loc, v in found
    ]


@every_kind
def test_the_prior_of_every_task_by_hand(kind: str) -> None:
    """(14.3), (2.4): `weights_prior` is the mixture, its weights the others in a group, and a / C."""
    model = fitted(kind).model
    member = memberships(model)
    groups = member.shape[1] - 1
    prior = model.weights_prior()
    w = model.q_weights().sample((5,))
    found = prior.log_prob(w)
    for t in range(TASKS):
        others = member.sum(0) - member[t]
        odds = others + torch.tensor([1 / groups] * groups + [1.0])
        each = torch.stack([p.log_prob(w[:, t]) for p in components(model, t)])
        wanted = ((odds / odds.sum()).log().unsqueeze(-1) + each).logsumexp(0)
        torch.testing.assert_close(found[:, t], wanted, rtol=1e-8, atol=1e-8)


def naive_kl(model: vmtl.MultiTaskELBO, log_alpha: Tensor) -> Tensor:
    """(4.4) for one draw of the weights."""
    q = model.q_weights()
    assert isinstance(q, MultivariateNormal)
    kl = []
    for t in range(TASKS):
        one = MultivariateNormal(q.mean[t], q.covariance_matrix[t])
        each = [torch.distributions.kl_divergence(one, p) for p in components(model, t)]
        kl.append(-(log_alpha[t] - torch.stack(each)).logsumexp(0))
    return torch.stack(kl)


@every_kind
def test_forward_is_the_objective_of_the_loops(kind: str) -> None:
    """Every term of (5.1), (5.5), (5.6), from the same draws of the weights."""
    model, x, y, task, _ = fitted(kind)
    with torch.no_grad(), oracle.recording(model) as draws:
        terms = model(x, y, task)
    kept = draws(task)
    log_alpha = torch.stack(list(kept.log_alpha))
    torch.testing.assert_close(terms.kl_weights, naive_kl(model, log_alpha), rtol=1e-7, atol=1e-7)
    table = oracle.by_task(x, y, task, TASKS)
    with torch.no_grad():
        current = oracle.posteriors(model, model.posteriors, table)
        own = oracle.posteriors(model, model.own, table)
        for t in range(TASKS):
            fit = oracle.data_term(model, current, table, t, [], [])
            torch.testing.assert_close(terms.log_likelihood[t], fit, rtol=1e-9, atol=1e-8)
            alone = oracle.own_data_elbo(model, own, table, t, kept)
            torch.testing.assert_close(terms.own_elbo[t], alone, rtol=1e-9, atol=1e-8)


@every_kind
def test_forward_is_what_the_history_says(kind: str) -> None:
    """Likelihood, own-data ELBO and hyperprior exactly; the KL, over Gumbel draws, to 5 errors."""
    model, x, y, task, history = fitted(kind)
    with torch.no_grad():
        draws = [model(x, y, task) for _ in range(200)]
    for name in ("log_likelihood", "own_elbo", "hyperprior", "kl_latents"):
        found = float(getattr(draws[0], name).mean())
        # Sites that aren't Gaussian are renewed until the own-data ELBO gains less than a tolerance.
        close = 1e-9 if kind == "gaussian" else 1e-6
        assert found == pytest.approx(history.terms[name][-1], rel=close, abs=1e-9)
    kl = torch.stack([one.kl_weights.mean() for one in draws])
    fixed = 128  # draws of the closed form itself
    error = float(kl.std()) * math.sqrt(1 / len(kl) + 1 / fixed)
    assert abs(float(kl.mean()) - history.terms["kl_weights"][-1]) <= 5 * error + 1e-12


@every_kind
def test_the_objective_rises_and_settles(kind: str) -> None:
    """(5.4): by sweeps, until one gains less than the tolerance."""
    history = fitted(kind).history
    assert history.converged
    elbo = history.terms["elbo"]
    assert elbo[-1] >= elbo[0] - 1e-9
    assert elbo[-1] - elbo[-2] < 1e-5


def test_the_groups_are_found_and_shown() -> None:
    """Two groups, largest first, rows within 1; none elsewhere."""
    found = fitted().model.groups()
    assert found.shape == (TASKS, 2)
    assert found.sum(0).diff()[0] <= 0
    assert found.sum(1).max() <= 1 + 1e-12
    label = found.argmax(1)
    assert found.max(1)[0].min() > 0.9
    assert len(label[::2].unique()) == len(label[1::2].unique()) == 1
    assert label[0] != label[1]


@every_kind
def test_the_map_has_rows_of_sum_one(kind: str) -> None:
    """(14.8), (4.5): alpha and responsibilities are (T, T + 1), their diagonals 0."""
    model = fitted(kind).model
    for found in (model.alpha(), model.responsibilities()):
        assert found.shape == (TASKS, TASKS + 1)
        torch.testing.assert_close(found.sum(1), torch.ones(TASKS), rtol=0, atol=1e-6)
        assert found.min() >= -1e-12
        assert not found.diagonal().any()


def test_the_map_knows_the_groups() -> None:
    """Who helps whom: tasks of the same centre, and hardly the others."""
    found = fitted().model.responsibilities()[:, :TASKS]
    same = torch.arange(TASKS)[:, None] % 2 == torch.arange(TASKS) % 2
    assert found.masked_fill(~same, 0.0).sum(1).min() > 0.8


def test_responsibilities_by_hand() -> None:
    """(14.8): each point's group of t, shared among the others there; else nobody's."""
    model = fitted().model
    labels = model.average.labels
    wanted = torch.zeros(TASKS, TASKS + 1)
    for label in labels.tolist():
        for t in range(TASKS):
            others = [k for k in range(TASKS) if k != t and label[k] == label[t] >= 0]
            for k in others or [TASKS]:
                wanted[t, k] += 1 / max(len(others), 1) / len(labels)
    torch.testing.assert_close(model.responsibilities(), wanted, rtol=0, atol=1e-6)


def test_responsibilities_without_an_average() -> None:
    """(4.5) at the model's own parameters, groups shared out among their other members."""
    model = fitted().model
    kept = model.average.state_dict()
    model.average.clear()
    try:
        found = model.responsibilities()
    finally:
        model.average.load_state_dict(kept)
    torch.testing.assert_close(found.sum(1), torch.ones(TASKS), rtol=0, atol=1e-9)
    assert not found.diagonal().any()
    same = torch.arange(TASKS)[:, None] % 2 == torch.arange(TASKS) % 2
    assert found[:, :TASKS].masked_fill(~same, 0.0).sum(1).min() > 0.8


def test_alpha_by_hand() -> None:
    """The restaurant's weights of the groups, shared out among the other members."""
    model = fitted().model
    member = memberships(model)
    groups, found = member.shape[1] - 1, model.alpha()
    for t in range(TASKS):
        others = member.sum(0) - member[t]
        odds = others + torch.tensor([1 / groups] * groups + [1.0])
        weight = odds / odds.sum()
        wanted = torch.zeros(TASKS + 1)
        for c in range(groups):
            for k in range(TASKS):
                if k != t and others[c] > 1e-6:
                    wanted[k] += weight[c] * member[k, c] / others[c]
        wanted[TASKS] = 1 - wanted.sum()
        torch.testing.assert_close(found[t], wanted, rtol=1e-9, atol=1e-9)


def test_the_predictive_is_the_mixture_of_the_points() -> None:
    """(6.1): log density, mean and variance of seen tasks and of one to come, by hand."""
    model, x, y, task, _ = fitted()
    average = model.average
    wide = torch.cat([x, torch.ones(len(x), 1)], 1)[:12]
    for ids in (task[:12], torch.full((12,), TASKS)):
        if int(ids[0]) == TASKS:
            loc, tril = (
                t[:, 0].unsqueeze(1).expand(-1, 12, *t.shape[2:])
                for t in (average.base_loc, average.base_scale_tril)
            )
            noise = average.noise.square().mean(1, keepdim=True).sqrt().expand(-1, 12)
        else:
            loc, tril = (t[:, ids, 0] for t in (average.loc, average.scale_tril))
            noise = average.noise[:, ids]
        mean = (loc * wide).sum(-1)
        variance = (tril.mT @ wide.unsqueeze(-1)).square().sum((-2, -1)) + noise**2
        found = vmtl.predictive(model, x[:12], ids)
        each = Normal(mean, variance.sqrt()).log_prob(y[:12])
        wanted = each.logsumexp(0) - math.log(len(each))
        torch.testing.assert_close(found.log_prob(y[:12]), wanted)
        torch.testing.assert_close(found.mean, mean.mean(0))
        total = variance.mean(0) + mean.var(0, correction=0)
        torch.testing.assert_close(found.variance, total)
