"""Trainable tensors that a model uses and doesn't own, as those that a function closes over."""

import inspect
from collections.abc import Iterator
from functools import partial
from types import FunctionType
from typing import Any

from torch import Tensor, nn


def unseen_leaves(loss: Tensor, model: nn.Module) -> list[str]:
    """What `loss` depends on and no optimiser of `model.parameters()` sees.

    Args:
        loss: a scalar with its graph, before `backward`.
        model: whose parameters are fitted.

    Returns:
        For each leaf tensor that requires a gradient and isn't a parameter of `model` its name,
        where a function in the model shows one, and its shape, as "`log_noise` of shape ()".
    """
    seen = {id(p) for p in model.parameters()}
    names = {id(value): name for name, value in _tensors(model)}
    return [
        f"{names.get(id(leaf), 'a tensor')} of shape {tuple(leaf.shape)}"
        for leaf in _leaves(loss)
        if id(leaf) not in seen
    ]


def trainable_names(given: Any) -> set[str]:
    """Names of the trainable tensors that functions in `given` use: a module, function or list."""
    return {name for name, _ in _tensors(given)}


def _leaves(loss: Tensor) -> list[Tensor]:
    """The leaf tensors of a graph that require a gradient, each once."""
    if loss.grad_fn is None:
        return [loss] if loss.requires_grad else []
    found: dict[int, Tensor] = {}
    done, todo = {loss.grad_fn}, [loss.grad_fn]
    while todo:
        node = todo.pop()
        variable = getattr(node, "variable", None)  # of the nodes that accumulate a gradient
        if isinstance(variable, Tensor):
            found[id(variable)] = variable
        fresh = {one for one, _ in node.next_functions if one is not None} - done
        done |= fresh
        todo += fresh
    return list(found.values())


def _tensors(given: Any) -> Iterator[tuple[str, Tensor]]:
    """Trainable tensors that the functions in `given` reach by name."""
    for function in _functions(given):
        used = inspect.getclosurevars(function)
        for name, value in {**used.nonlocals, **used.globals}.items():
            if isinstance(value, Tensor) and value.requires_grad:
                yield f"`{name}`", value
            elif isinstance(value, nn.Module):
                for inner, p in value.named_parameters(name):
                    if p.requires_grad:
                        yield f"`{inner}`", p


def _functions(given: Any) -> Iterator[FunctionType]:
    """Python functions in a function, a partial, a list, or the attributes of a module."""
    if isinstance(given, FunctionType):
        yield given
    elif isinstance(given, partial):
        yield from _functions(given.func)
    elif isinstance(given, list | tuple):
        for one in given:
            yield from _functions(one)
    elif isinstance(given, nn.Module):
        for module in given.modules():
            for value in vars(module).values():
                if isinstance(value, FunctionType | partial | list | tuple):
                    yield from _functions(value)
