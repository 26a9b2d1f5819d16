"""Newton steps on the logits of alpha climb the bound that the fit maximises, (4.3) or (4.4)."""

import pytest
import torch
from torch import Tensor

from vmtl_core import mixture
from vmtl_core.evidence import Gaussians
from vmtl_core.mixture import Weights

TASKS, SOURCES, DRAWS = 4, 5, 6
every_bound = pytest.mark.parametrize("convex", [False, True], ids=["jensen", "convex"])
every_hold = pytest.mark.parametrize("hold", [0.0, 1.0])


def some(convex: bool, temperature: float = 0.7) -> tuple[Weights, Tensor, Tensor, Tensor]:
    """Weights with the own source left out, logits, KLs (infinite nowhere) and the start."""
    excluded = torch.eye(TASKS, SOURCES, dtype=torch.bool)
    gumbel = torch.distributions.Gumbel(0.0, 1.0).sample((DRAWS, TASKS, SOURCES))
    weights = Weights(gumbel, excluded, temperature, convex)
    logits = torch.randn(TASKS, SOURCES).masked_fill(excluded, 0.0)
    start = 0.3 * torch.randn(TASKS, SOURCES)
    return weights, logits, 3 * torch.rand(TASKS, SOURCES), start


def objective(w: Weights, logits: Tensor, kl: Tensor, start: Tensor, hold: float) -> Tensor:
    """Of each task: minus the bound, averaged over the draws, and the hyperprior; in loops."""
    total = []
    for t in range(TASKS):
        kept = [k for k in range(SOURCES) if not bool(w.excluded[t, k])]
        value = -0.5 * hold * (logits[t, kept] - start[t, kept]).square().sum()
        for r in range(DRAWS):
            alpha = ((logits[t, kept] + w.gumbel[r, t, kept]) / w.temperature).softmax(0)
            if w.convex:
                value = value - (alpha * kl[t, kept]).sum() / DRAWS
            else:
                value = value + (alpha * (-kl[t, kept]).exp()).sum().log() / DRAWS
        total.append(value)
    return torch.stack(total)


@every_bound
def test_divergence_is_the_bound(convex: bool) -> None:
    w, logits, kl, start = some(convex)
    found = w.divergence(w.log_alpha(logits), kl.masked_fill(w.excluded, torch.inf))
    torch.testing.assert_close(-found, objective(w, logits, kl, start, 0.0))


@every_hold
@every_bound
def test_direction_is_the_gradient(convex: bool, hold: float) -> None:
    """A step is the objective's gradient over a curvature, so long as it is short."""
    w, logits, kl, start = some(convex)
    leaf = logits.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(objective(w, leaf, kl, start, hold).sum(), leaf)
    log_alpha = w.log_alpha(logits)
    alpha = log_alpha.exp()
    curvature = torch.zeros(TASKS, SOURCES)
    for r in range(DRAWS):
        jacobian = alpha[r] - alpha[r].square()  # diagonal of d alpha / d (logits / tau)
        curvature += jacobian / w.temperature**2 / DRAWS
    step = (slope / (curvature + (1.0 if hold else 0.05))).clamp(-1, 1)
    found, there = w.climb(logits, log_alpha, kl, start, hold)
    whole = objective(w, logits + step, kl, start, hold) >= objective(w, logits, kl, start, hold)
    assert bool(whole.any())
    torch.testing.assert_close(found[whole], (logits + step)[whole])
    torch.testing.assert_close(there, w.log_alpha(found))
    assert bool((found == logits)[w.excluded].all())


@every_hold
@every_bound
def test_no_task_falls(convex: bool, hold: float) -> None:
    """Also where a whole step would overshoot: a cold temperature, a start far away."""
    w, logits, kl, start = some(convex, temperature=0.15)
    kl, start, logits = 20 * kl, start + 4, 2 * logits
    for _ in range(12):
        before = objective(w, logits, kl, start, hold)
        logits, there = w.climb(logits, w.log_alpha(logits), kl, start, hold)
        assert bool((objective(w, logits, kl, start, hold) >= before - 1e-12).all())
        torch.testing.assert_close(there, w.log_alpha(logits))


@pytest.mark.parametrize(
    ("tau", "scale", "sizes"), [(0.05, 8, {1.0, 0.3}), (0.005, 100, {1.0, 0.3, 0.0})]
)
def test_shorter_steps_where_the_whole_one_falls(
    tau: float, scale: float, sizes: set[float]
) -> None:
    """A row that overshoots takes .3 of the step, or .09, or none; the others all of it."""
    tried, seen = torch.tensor([1.0, 0.3, 0.09, 0.0]), set()
    for _ in range(30):
        w, logits, kl, start = some(True, temperature=tau)
        kl = scale * kl
        log_alpha = w.log_alpha(logits)
        alpha = log_alpha.exp()
        slope = (alpha * ((alpha * kl).sum(-1, keepdim=True) - kl)).mean(0) / tau
        curvature = (alpha - alpha.square()).mean(0) / tau**2 + 1
        step = ((slope - (logits - start)) / curvature).clamp(-1, 1).masked_fill(w.excluded, 0.0)
        ends = torch.stack([logits + s * step for s in tried])
        values = torch.stack([objective(w, one, kl, start, 1.0) for one in ends])
        taken = (values >= values[-1]).double().argmax(0)  # the first that doesn't fall
        found, there = w.climb(logits, log_alpha, kl, start, 1.0)
        torch.testing.assert_close(found, ends[taken, torch.arange(TASKS)], rtol=0, atol=1e-10)
        torch.testing.assert_close(there, w.log_alpha(found))
        seen |= set(tried[taken].tolist())
    assert sizes <= seen


@every_bound
def test_the_top_is_reached(convex: bool) -> None:
    """Many steps end where the gradient vanishes."""
    w, logits, kl, start = some(convex)
    for _ in range(100):
        logits, _ = w.climb(logits, w.log_alpha(logits), kl, start, 1.0)
    leaf = logits.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(objective(w, leaf, kl, start, 1.0).sum(), leaf)
    assert float(slope.abs().max()) < 1e-6


def test_responsibilities() -> None:
    """(4.5) for each draw; alpha itself for the convex bound."""
    for convex in (False, True):
        w, logits, kl, _ = some(convex)
        alpha = w.log_alpha(logits).exp()
        exact = alpha if convex else alpha * (-kl).exp()
        found = w.responsibilities(alpha.log(), kl)
        torch.testing.assert_close(found, exact / exact.sum(-1, keepdim=True))


def test_products_and_pairs_of_several_columns() -> None:
    """Columns are independent: KLs add up and products are taken column by column."""
    root = torch.randn(5, 2, 3, 3)
    laws = Gaussians(torch.randn(5, 2, 3), root @ root.mT + torch.eye(3))
    wide = torch.randn(2, 2, 3, 3)
    q = Gaussians(torch.randn(2, 2, 3), wide @ wide.mT + torch.eye(3))
    made, columns = mixture.components(laws), torch.tensor([[4, 1, 0], [2, 2, 3]])
    log_det = q.covariance.logdet().sum(-1)
    found = mixture.kl_pairs(q, log_det, made, None)
    phi = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]])
    for t in range(2):
        for k in range(5):
            value = sum(
                torch.distributions.kl_divergence(
                    torch.distributions.MultivariateNormal(q.loc[t, p], q.covariance[t, p]),
                    torch.distributions.MultivariateNormal(laws.loc[k, p], laws.covariance[k, p]),
                )
                for p in range(2)
            )
            torch.testing.assert_close(found[t, k], value)
    few = mixture.kl_pairs(q, log_det, made, columns)
    torch.testing.assert_close(few, found.gather(1, columns))
    product = mixture.product(phi, made, columns)
    for t in range(2):
        mass = torch.zeros(())
        for p in range(2):
            inverses = laws.covariance[columns[t], p].inverse()
            precision = torch.einsum("k,kij->ij", phi[t], inverses)
            natural = torch.einsum("k,kij,kj->i", phi[t], inverses, laws.loc[columns[t], p])
            mean = torch.linalg.solve(precision, natural)
            torch.testing.assert_close(product.loc[t, p], mean)
            factor = product.factor[t, p]
            torch.testing.assert_close(factor @ factor.T, precision.inverse())
            at = torch.zeros(3)
            logs = torch.distributions.MultivariateNormal(
                laws.loc[columns[t], p], laws.covariance[columns[t], p]
            ).log_prob(at)
            own = torch.distributions.MultivariateNormal(mean, precision.inverse()).log_prob(at)
            mass = mass + (phi[t] * logs).sum() - own
        torch.testing.assert_close(product.log_mass[t], mass)


def test_alpha_of_the_fit_is_tempered() -> None:
    """(3.3) at the temperature of the model."""
    w, logits, *_ = some(False, temperature=2.0)
    scores = (logits + w.gumbel).masked_fill(w.excluded, -torch.inf)
    torch.testing.assert_close(w.log_alpha(logits).exp(), (scores / 2).softmax(-1))
