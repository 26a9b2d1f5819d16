"""Seeding of samplers that take no generator (torch.distributions draw from the global stream)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator


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
    with torch.random.fork_rng(devices=devices, device_type="cuda" if kind == "cpu" else kind):
        if kind == "cpu":
            torch.default_generator.manual_seed(seed)  # and leave other devices' streams alone
        else:
            torch.manual_seed(seed)
        yield
