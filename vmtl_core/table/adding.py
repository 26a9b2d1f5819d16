"""A few new rows for a fitted model: their own sites and E-step, nothing else is fitted anew."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vmtl_core.closed_form import to_data
from vmtl_core.coordinate import Transfer, root_log_det
from vmtl_core.elbo import MultiTaskELBO
from vmtl_core.evidence import Gaussians, Updated, update
from vmtl_core.groups import Gathered, Hyper, factors, gather, pseudo_counts
from vmtl_core.likelihoods import LinearGaussian
from vmtl_core.mixture import Weights, components, kl_pairs, product
from vmtl_core.points import posterior_points
from vmtl_core.population import Expansion
from vmtl_core.sites import Site, Table
from vmtl_core.units import Measured, triangular

ALTERNATIONS, DRAWS, TOLERANCE = 20, 64, 1e-9
"""Of posteriors and responsibilities; Gumbel draws of alpha; of the sites, in nats."""


class Rows(NamedTuple):
    """New rows of A tasks."""

    x: Tensor
    """The design, (N, D)."""
    y: Tensor
    """(N,)."""
    task: Tensor
    """Which of the A tasks, (N,)."""
    members: list[int]
    """Ids of the A tasks, len(old) and above for new ones."""
    likelihood: Any
    """That of the rows."""


class Seats(NamedTuple):
    """Groups of the A tasks."""

    labels: Tensor
    """At each point of the average, -1 for none, (K, A)."""
    member: Tensor
    """Probability of each group of the best candidate and of none, (A, C + 1)."""


class Added(NamedTuple):
    """Posteriors of the A tasks in units of the data: at K points, at the optimum, of own data."""

    points: tuple[Tensor, Tensor]
    best: tuple[Tensor, Tensor]
    own: tuple[Tensor, Tensor]
    own_site: Site
    site: Site
    """Their whole sites now, (A, ...), for the next rows."""
    seats: Seats | None = None
    """Their groups, if the prior is made of groups."""


class WithSites(Table):
    """Rows beside sites of earlier rows of the same tasks."""

    earlier: Site | None = None

    def site(self, log_scale: Tensor, other: Site | None) -> Site:
        """As `Table.site`, with the earlier rows'."""
        found = super().site(log_scale, other)
        if self.earlier is None:
            return found
        return Site(*(a + b for a, b in zip(found, self.earlier, strict=True)))


class Point(NamedTuple):
    """K points of the hyperparameters, in standard units."""

    noise: Tensor
    """log sigma, (K, 1)."""
    base: Gaussians
    """p_0, (K, 1, P, ...)."""


@torch.no_grad()
def added(model: MultiTaskELBO, packed: dict[str, Any], tasks: int, rows: Rows) -> Added:
    """Posteriors of the tasks that the rows are of, given everything else as it is.

    Args:
        model: the fitted model, of `tasks` real tasks.
        packed: the state of its fit, `History.optimizer["coordinate"]`.
        tasks: T.
        rows: the new rows.
    """
    units, table = _standard(model, rows)
    own_site = Site(*(one[:tasks] for one in packed["own_site"]))
    other = packed["own_other"] if packed["other"] is None else packed["other"]
    site = own_site if other is None else Site(*(one[:tasks] for one in other))
    fitted_noise = packed["own"][2].reshape(-1)[:1] if table.gaussian.any() else None
    solver = _Solver(model, packed, tasks, rows, table, own_site, site, fitted_noise)
    own, seats = solver.own(_optimum(model, packed)), None
    if model.sources == "groups":
        best, every, seats = _seated(solver, units)
    else:
        best = solver.solve(_optimum(model, packed))
        every = solver.solve(_average(model, units)) if len(model.average) else best
    now, own_now = solver.sites(best, site), solver.sites(own, own_site)
    return Added(
        to_data(every.loc, triangular(every.root), units),
        _first(to_data(best.loc, triangular(best.root), units)),
        _first(to_data(own.loc, triangular(own.root), units)),
        own_now,
        now,
        seats,
    )


def _seated(solver: _Solver, units: Measured) -> tuple[Updated, Updated, Seats]:
    """Posteriors at the optimum and at the points, and the groups that they are under."""
    model, packed, tasks = solver.model, solver.packed, solver.tasks
    noise, log_sd, log_width, member, _ = packed["groups"]["found"][0]
    hyper = Hyper(noise, log_sd, log_width)
    point = _optimum(model, packed)
    chances, best = solver.among(point, hyper, member[None, :tasks])
    average, labels = model.average, chances.argmax(-1)
    every = best
    if len(average):
        hard = one_hot(average.labels[:, :tasks])
        drawn, every = solver.among(_average(model, units), hyper, hard, draw=True)
        labels = drawn.argmax(-1)
        labels = labels.masked_fill(labels == hard.shape[-1] - 1, -1)
    return best, every, Seats(labels, chances[0])


def one_hot(labels: Tensor) -> Tensor:
    """Memberships (K, T, C + 1) of labels (K, T), -1 for none."""
    groups = max(1, int(labels.max()) + 1)
    place = torch.where(labels < 0, groups, labels)
    return torch.nn.functional.one_hot(place, groups + 1).double()


def _first(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return pair[0][0], pair[1][0]


def _standard(model: MultiTaskELBO, rows: Rows) -> tuple[Measured, WithSites]:
    """The units of the fit, and the new rows in them."""
    columns, size = max(1, *model.q_weights().event_shape[1:], 1), rows.x.shape[1]
    gaussian = isinstance(rows.likelihood, LinearGaussian)
    log_unit = float(rows.likelihood.unit) if gaussian else 0.0
    found = model.prior.units
    eye = torch.eye(size, dtype=torch.float64).expand(columns, -1, -1)
    basis = eye if found.basis is None else found.basis
    offset = eye.new_zeros(columns, size) if found.offset is None else found.offset
    units = Measured(basis, offset, math.exp(log_unit))
    x = rows.x @ (basis[0] / units.target_scale)
    shift, y = (rows.x[:1] @ offset.mT)[0], rows.y
    if gaussian:
        y, shift = (y - rows.x @ offset[0]) / units.target_scale, torch.zeros_like(shift)
    likelihoods = [rows.likelihood] * len(rows.members)
    return units, WithSites(x, y, rows.task, likelihoods, columns, shift, log_unit)


def _optimum(model: MultiTaskELBO, packed: dict[str, Any]) -> Point:
    """The fitted hyperparameters."""
    loc, log_sd = packed["population"]
    root = torch.diag_embed(log_sd.exp())
    noise = packed["state"][2].reshape(1, -1)[:, :1]
    noise = noise if noise.numel() else noise.new_zeros(1, 1)
    return Point(noise, Gaussians(loc[None, None], (root @ root.mT)[None, None]))


def _average(model: MultiTaskELBO, units: Measured) -> Point:
    """Those that prediction averages over."""
    points = posterior_points(model)
    assert points is not None
    assert points.base_loc is not None
    assert points.base_scale_tril is not None
    inverse = torch.linalg.inv(units.basis)
    loc = (inverse @ (points.base_loc - units.offset).unsqueeze(-1)).squeeze(-1)
    root = inverse @ points.base_scale_tril
    noise = loc.new_ones(len(loc), 1) if points.noise is None else points.noise[:, :1]
    noise = noise.log() - math.log(units.target_scale)
    return Point(noise, Gaussians(loc.unsqueeze(1), (root @ root.mT).unsqueeze(1)))


class _Solver(NamedTuple):
    """What stays while posteriors of the A tasks are sought."""

    model: MultiTaskELBO
    packed: dict[str, Any]
    tasks: int
    rows: Rows
    table: WithSites
    own_site: Site
    site: Site
    fitted_noise: Tensor | None

    def _scaled(self, site: Site, point: Point) -> Site:
        """Earlier sites at the noise of each point, (K, T, ...)."""
        if self.fitted_noise is None:
            return Site(*(one.expand(len(point.noise), *one.shape) for one in site))
        more = (2 * (self.fitted_noise - point.noise)).exp()
        wide = more[..., None, None, None], more[..., None, None], more
        return Site(*(a * b for a, b in zip(site, wide, strict=True)))

    def _earlier(self, site: Site, point: Point) -> Site:
        """Earlier sites of the A tasks, nothing for new ones, (K, A, ...)."""
        every = self._scaled(site, point)
        known = torch.tensor([t < self.tasks for t in self.rows.members])
        place = torch.tensor([min(t, self.tasks - 1) for t in self.rows.members])
        mine = Site(*(one[:, place] for one in every))
        none = Site(*(torch.zeros_like(one) for one in mine))
        return none.where(known, mine)

    def _settled(self, site: Site, point: Point, prior: tuple[Tensor, Tensor]) -> Updated:
        self.table.earlier = self._earlier(site, point)
        q = Gaussians(
            *(one.expand(-1, len(self.rows.members), *one.shape[2:]) for one in point.base)
        )
        state = Expansion(self.table, q)
        log_scale = point.noise.expand(-1, len(self.rows.members))
        return state.settle(log_scale, prior, TOLERANCE)[1]

    def own(self, point: Point) -> Updated:
        """Under p_0 alone, (K, A, P, ...)."""
        root = torch.linalg.cholesky(point.base.covariance)
        return self._settled(self.own_site, point, (point.base.loc, root))

    def solve(self, point: Point) -> Updated:
        """Under the mixture of what the others say, (4.5) and (5.16) in turns, (K, A, P, ...)."""
        parts = components(self._reports(point))
        weights, logits = self._weights()
        log_alpha = weights.log_alpha(logits)
        q = self.own(point)
        for _ in range(ALTERNATIONS):
            kl = kl_pairs(q.gaussians(), 2 * root_log_det(q.root), parts, None)
            phi = weights.responsibilities(log_alpha, kl).mean(0)
            prior = product(phi, parts, None)
            q = self._settled(self.site, point, (prior.loc, prior.factor))
        return q

    def among(
        self, point: Point, hyper: Hyper, member: Tensor, draw: bool = False
    ) -> tuple[Tensor, Updated]:
        """Who is in which group, by the evidence of the tasks' own data, (K, A, C + 1), (14.6).

        Args:
            point: K points; hyper: population and width, the same at all.
            member: of the fitted tasks, (K, T, C + 1).
            draw: whether one group is drawn at every point; else all have their probability.

        Returns:
            The probabilities, or what was drawn; and the posteriors under the groups' laws,
            averaged in the logarithm where there are several, (K, A, P, ...).
        """
        count, width = len(point.noise), member.shape[-1]
        spread = Hyper(*(one.expand(count, *one.shape) for one in hyper))
        site = self._scaled(self.own_site, point)
        whole = self._whole(point)
        chances = []
        laws = []
        for i, t in enumerate(self.rows.members):
            others = member.clone()
            if t < self.tasks:
                others[:, t] = 0.0
            law = seats(gather(site, spread, others), spread)
            precision, natural = whole.precision[:, i : i + 1], whole.natural[:, i : i + 1]
            root = torch.linalg.cholesky(law.covariance)
            evidence = update(precision, natural, law.loc, root).log_evidence.sum(-1)
            size = others.sum(-2) + pseudo_counts(others).expand(count, 1, width)[:, 0]
            chances.append((evidence + size.log()).softmax(-1))
            laws.append(law)
        chance = torch.stack(chances, 1)
        if draw:
            chance = drawn(chance)
        loc = torch.stack([one.loc for one in laws], 1)
        precision = torch.linalg.inv(torch.stack([one.covariance for one in laws], 1))
        wide = chance[..., None, None, None]
        total = (wide * precision).sum(2)
        natural = (wide * precision @ loc.unsqueeze(-1)).squeeze(-1).sum(2)
        covariance = torch.linalg.inv(total)
        prior = (covariance @ natural.unsqueeze(-1)).squeeze(-1)
        root = torch.linalg.cholesky(0.5 * (covariance + covariance.mT))
        return chance, self._settled(self.site, point, (prior, root))

    def _whole(self, point: Point) -> Site:
        """The A tasks' sites, old rows and new, about their own data's posteriors, (K, A, ...)."""
        q = self.own(point)
        self.table.earlier = self._earlier(self.own_site, point)
        log_scale = point.noise.expand(-1, len(self.rows.members))
        return self.table.site(log_scale, self.table.expand(q.gaussians()))

    def _reports(self, point: Point) -> Gaussians:
        """What the T tasks' own data say of another task, then p_0, (K, T + 1, P, ...)."""
        site = self._scaled(self.own_site, point)
        root = torch.linalg.cholesky(point.base.covariance)
        sources = update(site.precision, site.natural, point.base.loc, root).gaussians()
        width = self.packed["state"][1]
        transfer = Transfer(width, self.model.prior.stationary, True)
        return transfer.apply(sources, width, point.base).join(point.base)

    def _weights(self) -> tuple[Weights, Tensor]:
        """Mixing weights of the A tasks: the fitted ones, or as at the start of a fit."""
        mixing, tasks = self.model.prior.mixing, self.tasks
        fitted = mixing.dense(mixing.logits)
        admitted = mixing.dense((~mixing.excluded).double()) > 0
        keep = [*range(tasks), -1]
        logits = torch.zeros(len(self.rows.members), tasks + 1, dtype=torch.float64)
        excluded = torch.zeros_like(logits, dtype=torch.bool)
        logits[:, -1] = math.log(tasks * mixing.base_weight / (1 - mixing.base_weight))
        for i, t in enumerate(self.rows.members):
            if t < tasks:
                logits[i] = fitted[t, keep].double()
                excluded[i] = ~admitted[t, keep]
        draw = torch.Generator().manual_seed(0)
        noise = torch.empty(DRAWS, *logits.shape, dtype=torch.float64)
        gumbel = -noise.exponential_(generator=draw).clamp_min(1e-300).log()
        tau = self.model.temperature(10**9)
        return Weights(gumbel, excluded, tau, self.model.divergence == "convex"), logits

    def sites(self, found: Updated, site: Site) -> Site:
        """The A tasks' sites at the fitted noise, about a posterior at the optimum, (A, ...)."""
        point = _optimum(self.model, self.packed)
        noise = point.noise if self.fitted_noise is None else self.fitted_noise.reshape(1, 1)
        self.table.earlier = self._earlier(site, point._replace(noise=noise))
        log_scale = noise.expand(-1, len(self.rows.members))
        whole = self.table.site(log_scale, self.table.expand(found.gaussians()))
        return Site(*(one[0] for one in whole))


def seats(found: Gathered, hyper: Hyper) -> Gaussians:
    """What each group, and none, says of a further task's w, (K, C + 1, P, ...), (14.3)."""
    spread = factors(hyper.log_sd, hyper.log_width)
    centre = found.root @ found.root.mT + spread.within @ spread.within.mT
    alone = (found.mean_root @ found.mean_root.mT).unsqueeze(-4) + spread.whole @ spread.whole.mT
    return Gaussians(
        torch.cat([found.loc, found.mean.unsqueeze(-3)], -3), torch.cat([centre, alone], -4)
    )


def drawn(chance: Tensor) -> Tensor:
    """One group for every point, as often over the points as its probability, one-hot (K, A, C + 1)."""
    count, members = chance.shape[:2]
    draw = torch.Generator().manual_seed(0)
    order = torch.stack([torch.randperm(count, generator=draw) for _ in range(members)], 1)
    level = (order.to(chance) + 0.5) / count
    label = (level.unsqueeze(-1) > chance.cumsum(-1)).sum(-1).clamp_max(chance.shape[-1] - 1)
    return torch.nn.functional.one_hot(label, chance.shape[-1]).to(chance)
