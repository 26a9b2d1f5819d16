"""New labels for the tasks permute every result; batches of any make-up stay unbiased."""

import itertools
import math
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vmtl_core as vmtl


def a_model(sizes: list[int], seed: int) -> Any:
    """Own sources, base prior and transfer width, all parameters random; q as good as a point."""
    draw = torch.Generator().manual_seed(seed)
    model: Any = vmtl.MultiTaskELBO(
        vmtl.LinearGaussian(0.7),
        vmtl.GaussianWeights(len(sizes), (2,)),
        task_sizes=sizes,
        temperature=math.inf,
        sources="own",
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(generator=draw)
        for bundle in (model.posteriors, model.own):
            bundle.weights.log_scale.fill_(math.log(1e-9))
    return model


def relabelled(model: Any, old: torch.Tensor) -> Any:
    """The same model whose task t is `model`'s task old[t]."""
    columns = torch.cat([old, torch.tensor([len(old)])])
    twin = a_model(model.task_sizes[old].tolist(), 0)
    state = model.state_dict()
    del state["_extra_state"]  # the sizes of the tasks as they were
    for name, value in state.items():
        if "weights" in name:
            state[name] = value[old]
        if "mixing.logits" in name:
            state[name] = value[old][:, columns]
    twin.load_state_dict(state)
    return twin


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.permutations(range(4)))
def test_relabelling_permutes_alpha_and_every_term(seed: int, order: list[int]) -> None:
    """(5.1), (4.5), (2.4): terms, alpha, responsibilities and priors move with their labels."""
    old = torch.tensor(order)
    columns = torch.cat([old, torch.tensor([4])])
    draw = torch.Generator().manual_seed(seed)
    task = torch.cat([torch.arange(4), torch.randint(4, (8,), generator=draw)])
    x = torch.randn(12, 2, generator=draw, dtype=torch.float64)
    y = torch.randn(12, generator=draw, dtype=torch.float64)
    model = a_model(torch.bincount(task).tolist(), seed)
    twin = relabelled(model, old)
    before, after = model(x, y, task), twin(x, y, old.argsort()[task])
    for name in ("log_likelihood", "kl_weights", "own_elbo"):
        found, wanted = getattr(after, name), getattr(before, name)[old]
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(after.elbo, before.elbo, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(twin.alpha(), model.alpha()[old][:, columns])
    torch.testing.assert_close(twin.responsibilities(), model.responsibilities()[old][:, columns])
    value = torch.randn(4, 2, generator=draw, dtype=torch.float64)
    found = twin.weights_prior().log_prob(value[old])
    torch.testing.assert_close(found, model.weights_prior().log_prob(value)[old])


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.permutations(range(9)))
def test_order_of_the_rows_does_not_matter(seed: int, order: list[int]) -> None:
    """(5.1) a table has no order."""
    draw = torch.Generator().manual_seed(seed)
    task = torch.arange(9) % 3
    x = torch.randn(9, 2, generator=draw, dtype=torch.float64)
    y = torch.randn(9, generator=draw, dtype=torch.float64)
    model = a_model([3, 3, 3], seed)
    one, two = model(x, y, task), model(x[order], y[order], task[order])
    torch.testing.assert_close(two.log_likelihood, one.log_likelihood, rtol=1e-5, atol=1e-5)


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.lists(st.integers(1, 3), min_size=2, max_size=4), st.data())
def test_mini_batches_are_unbiased(seed: int, sizes: list[int], data: st.DataObject) -> None:
    """(5.3) the mean over every stratified batch of any make-up is the full sum."""
    counts = [data.draw(st.integers(1, size)) for size in sizes]
    draw = torch.Generator().manual_seed(seed)
    task = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    x = torch.randn(len(task), 2, generator=draw, dtype=torch.float64)
    y = torch.randn(len(task), generator=draw, dtype=torch.float64)
    model = a_model(sizes, seed)
    choices = [
        itertools.combinations((task == t).nonzero().flatten().tolist(), count)
        for t, count in enumerate(counts)
    ]
    batches = [torch.tensor(sum(rows, ())) for rows in itertools.product(*choices)]
    parts = [model(x[b], y[b], task[b]).log_likelihood for b in batches]
    wanted = model(x, y, task).log_likelihood
    torch.testing.assert_close(torch.stack(parts).mean(0), wanted, rtol=1e-5, atol=1e-5)


@given(
    st.integers(0, 2**31), st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(0, 30)
)
def test_batches_hold_every_task(seed: int, sizes: list[int], extra: int) -> None:
    """(5.3) every batch of `fit` has rows of each task, none twice, none more than there are."""
    torch.manual_seed(seed)
    counts = torch.tensor(sizes)
    task = torch.arange(len(sizes)).repeat_interleave(counts)[torch.randperm(sum(sizes))]
    rows = vmtl.StratifiedBatches(task, len(sizes) + extra).draw()
    found = torch.bincount(task[rows], minlength=len(sizes))
    assert ((found >= 1) & (found <= counts)).all()
    assert len(rows.unique()) == len(rows)
