"""The closed-form fit with groups as components: hyperparameters and memberships by their evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vmtl_core.coordinate import Ascent, Problem, State
from vmtl_core.evidence import Gaussians
from vmtl_core.group_mixing import GroupMixing, restaurant
from vmtl_core.group_search import Candidate, candidates
from vmtl_core.groups import Hyper, cavity_laws, gather
from vmtl_core.mixture import Components, components
from vmtl_core.population import Expansion, Own
from vmtl_core.sites import Site, Table

if TYPE_CHECKING:
    from vmtl_core.elbo import MultiTaskELBO


class Grouped(Ascent):
    """Every task under what its groups say of it without it: sources="groups"."""

    member: Tensor
    """(T, C + 1)."""
    found: list[Candidate]
    """What the evidence likes, best first."""
    sites: Site | None
    """Of the tasks that aren't Gaussian, which the candidates' evidence is of."""
    _parts: Components | None = None

    @classmethod
    def unpacked(cls, problem: Problem, own: Own, state: State, packed: dict[str, Any]) -> Grouped:
        """What `pack_groups` was given."""
        found = [Candidate(Hyper(*one[:3]), one[3], float(one[4])) for one in packed["found"]]
        sites = None if packed["sites"] is None else Site(*packed["sites"])
        return cls.of(problem, own, packed["member"], found, sites, state)

    @classmethod
    def of(
        cls,
        problem: Problem,
        own: Own,
        member: Tensor,
        found: list[Candidate],
        sites: Site | None,
        state: State | None = None,
    ) -> Grouped:
        """With the best candidate's width, and the weights of the memberships."""
        width = replace(problem.transfer, log_width=found[0].hyper.log_width, learned=False)
        every = torch.arange(member.numel(), device=member.device).view(member.shape)
        logits = restaurant(member.double())
        mixing = replace(problem.mixing, logits=logits, columns=every, learned=False)
        made = cls(problem._replace(mixing=mixing, transfer=width), own, state)
        made.member, made.found, made.sites = member.double(), found, sites
        return made

    def parts(self) -> Components:
        """Those of task 0, the population last, then those of task 1 and so on, (T (C + 1), ...).

        Nothing that they are made of moves in a fit, so they are made once.
        """
        if self._parts is None:
            self._parts = self._made()
        return self._parts

    def _made(self) -> Components:
        own, width = self.own, self.problem.transfer.log_width
        assert width is not None
        population = self.population
        laws = cavity_laws(own.site, population.loc, population.log_sd, width, self.member)
        base = self.problem.base_law(population)
        none = [t.unsqueeze(0).expand(len(self.member), *[-1] * t.ndim) for t in base]
        pairs = zip(laws, none, (-3, -4), strict=True)
        return components(Gaussians(*(torch.cat([a, b], n).flatten(0, 1) for a, b, n in pairs)))

    def climb(self) -> None:
        """The weights are those of the memberships."""


def begin_groups(model: MultiTaskELBO, problem: Problem, own: Own) -> Grouped:
    """Search for groups; the model's prior takes the memberships that the evidence likes best.

    Args:
        model: what is fitted.
        problem: of `setting`.
        own: the own-data half at its greatest evidence.
    """
    found = candidates(problem.table, own)
    mixing = model.prior.mixing
    assert isinstance(mixing, GroupMixing)
    mixing.seat(fitted(found[0].member, mixing.member.shape[1] - 1))
    own, sites = at_hyper(problem.table, own, found[0]), own.other
    return Grouped.of(problem, own, mixing.member, found, sites)


def pack_groups(ascent: Grouped) -> dict[str, Any]:
    """What a fit with groups has found, as tensors."""
    found = [[*one.hyper, one.member, torch.tensor(one.bound)] for one in ascent.found]
    sites = None if ascent.sites is None else list(ascent.sites)
    return {"member": ascent.member, "found": found, "sites": sites}


def fitted(member: Tensor, groups: int) -> Tensor:
    """Memberships with so many groups, the largest first; what is left over is in none."""
    share = member[:, :-1]
    order = share.sum(0).argsort(descending=True, stable=True)[:groups]
    kept = member.new_zeros(len(member), groups)
    kept[:, : len(order)] = share[:, order]
    return torch.cat([kept, 1 - kept.sum(1, keepdim=True)], 1)


def at_hyper(table: Table, own: Own, one: Candidate) -> Own:
    """The own-data half at a candidate's hyperparameters, m_0 at its mean."""
    site = table.site(own.noise.tasks(one.hyper.noise), own.other)
    mean = gather(site, one.hyper, one.member).mean
    population = replace(own.population, loc=mean, log_sd=one.hyper.log_sd)
    noise = replace(own.noise, log_scale=own.noise.all(one.hyper.noise))
    expansion = Expansion.about(table, own.other)
    prior = mean, population.root(population.log_sd)
    site, posterior = expansion.settle(noise.tasks(one.hyper.noise), prior, 1e-9)
    elbo = site.constant + posterior.log_evidence.sum(-1)
    return replace(
        own,
        population=population,
        noise=noise,
        site=site,
        other=expansion.other,
        posterior=posterior,
        elbo=elbo,
        objective=float(elbo.mean()) + float(extra(own, one)) / table.tasks,
        tilted=None,
    )


def extra(own: Own, one: Candidate) -> Tensor:
    """The hyperpriors of what the own-data half learns."""
    total = own.population.log_hyperprior(own.population.loc, one.hyper.log_sd)
    return total + own.noise.log_hyperprior(one.hyper.noise)
