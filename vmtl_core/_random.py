"""Seeding of samplers that take no generator (torch.distributions draw from the global stream)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator

STREAM = threading.RLock()
"""Held while the global stream is seeded, so that what two threads draw stays apart.

The stream belongs to the process, and torch.distributions take no other: draws of ours in a second
thread wait. What a thread draws from the global stream by other means, meanwhile, does change ours.
"""


@contextmanager
def seeded(generator: Generator | None) -> Iterator[None]:
    """All draws inside come from `generator`; the global stream outside is left as it was.

    With `None` the global stream is used as usual.
    """
    if generator is None:
        yield
        return
    seed = torch.randint(2**62, (), generator=generator, device=generator.device).item()
    with forked(int(seed), generator.device):
        yield


@contextmanager
def forked(seed: int, device: torch.device) -> Iterator[None]:
    """All draws inside come from `seed`; the global streams are put back afterwards."""
    kind = torch.device(device).type
    devices = [] if kind == "cpu" else [device]
    with (
        STREAM,
        torch.random.fork_rng(devices=devices, device_type="cuda" if kind == "cpu" else kind),
    ):
        if kind == "cpu":
            torch.default_generator.manual_seed(seed)  # and leave other devices' streams alone
        else:
            torch.manual_seed(seed)
        yield


@contextmanager
def untouched() -> Iterator[None]:
    """The global streams are put back afterwards."""
    with STREAM, torch.random.fork_rng():
        yield


def step_seed(seed: int, step: int) -> int:
    """A seed for each step, far apart for neighbouring steps and seeds."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % 2**64
    mixed = ((mixed ^ (mixed >> 31)) * 0xD6E8FEB86659FD93) % 2**64
    return (mixed ^ (mixed >> 32)) % 2**63
