"""Expectations over one Gaussian number: the linear predictor z^T w under q(w)."""

import math

import torch
from torch import Tensor

from vmtl_core.cdf import poisson_function

REACH, FINEST = 6.0, 401
"""Standard deviations that the nodes cover; the most of them, enough up to a sd of 33."""


def normal_nodes(spread: Tensor) -> tuple[Tensor, Tensor]:
    r"""Nodes u and log weights of E f(mean + sd u), u ~ N(0, 1), for f a function of the sigmoid.

    The trapezoid rule, whose error falls as $e^{-2 \\pi d / h}$, with d the distance of f's nearest
    singularity and h the spacing: the sigmoid's poles are at $\\pm i \\pi$, so h = 1 / sd; below 1.1,
    h = .9 suffices. Gauss-Hermite's nodes are too far apart for sd > 3. Within 1e-7.

    Args:
        spread: standard deviations of the predictor, of which the largest decides.
    """
    step = min(0.9, 1 / max(float(spread.max()), 1e-9))
    half = min(math.ceil(REACH / step), FINEST // 2)
    nodes = torch.linspace(-REACH, REACH, 2 * half + 1).to(spread)
    return nodes, (-nodes.square() / 2).log_softmax(0)


def wide_nodes(like: Tensor) -> tuple[Tensor, Tensor, float]:
    """sinh(t), its derivative and the spacing, t equally spaced: near 0 dense, tails far out."""
    t = torch.linspace(-4, 4, 101).to(like)
    return t.sinh(), t.cosh(), 0.08


def poisson_log_mass(y: Tensor, mean: Tensor, sd: Tensor) -> Tensor:
    r"""log of $\\int \\mathrm{Poisson}(y | e^{\\eta})\\, N(\\eta; m, s^2)\\, d\\eta$, shapes broadcast.

    The logarithm of the integrand, as a function of u = (eta - m) / s, is concave. Its mode solves
    s^2 e^eta + eta = m + s^2 y; around it, in units of the integrand's width, the trapezoid rule
    in t with u = mode + width sinh(t).
    """
    sd = sd.clamp_min(torch.finfo(sd.dtype).tiny ** 0.25)
    c = mean + sd.square() * y + 2 * sd.log()
    v = torch.where(c > 1, c.clamp_min(1).log(), c)  # Newton for e^v + v = c, from the right
    for _ in range(8):
        v = v - (v.exp() + v - c) / (v.exp() + 1)
    rate = (v - 2 * sd.log()).exp()
    mode, width = sd * (y - rate), (1 + sd.square() * rate).rsqrt()
    sinh, cosh, step = wide_nodes(sd)
    u = mode.unsqueeze(-1) + width.unsqueeze(-1) * sinh
    eta = mean.unsqueeze(-1) + sd.unsqueeze(-1) * u
    log = y.unsqueeze(-1) * eta - eta.exp() - u.square() / 2 + cosh.log()
    constant = math.log(step) - 0.5 * math.log(2 * math.pi)
    return log.logsumexp(-1) + width.log() - torch.lgamma(y + 1) + constant


def poisson_below(y: Tensor, mean: Tensor, sd: Tensor) -> Tensor:
    """P(Y <= y) for Y ~ Poisson(e^eta), eta ~ N(m, s^2); shapes broadcast.

    With G ~ Gamma(y + 1) it is P(log G > eta): the wider of log G and eta is integrated in closed
    form, the narrower by nodes.
    """
    a = y.floor().clamp_min(0).unsqueeze(-1) + 1
    m, s = mean.unsqueeze(-1), sd.unsqueeze(-1)
    nodes, log_weights = normal_nodes(sd.new_full((), 1.6))
    over_eta = (poisson_function(a - 1, (m + s * nodes).exp()) * log_weights.exp()).sum(-1)
    sinh, cosh, _ = wide_nodes(sd)
    d = sinh * a.rsqrt()
    weights = (a * (d - d.expm1()) + cosh.log()).softmax(-1)
    normal = torch.special.ndtr((a.log() + d - m) / s.clamp_min(torch.finfo(s.dtype).tiny))
    over_gamma = (normal * weights).sum(-1)
    inside = torch.where(sd.square() * a.squeeze(-1) < 1, over_eta, over_gamma)
    return torch.where(y < 0, 0.0, inside)
