"""What every test shares: reproducible randomness, one thread, and a loud line where Chromium is missing."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_ARVIZ = "THE TESTS OF `to_arviz` DID NOT RUN: no ArviZ found. Get it with `pip install arviz`."
NO_BROWSER = (
    "THE BROWSER TESTS DID NOT RUN: no Chromium found. Get it with "
    "`apt-get install chromium` (or your system's package), then repeat `make test`."
)

# The same examples on every machine, and no deadline: two cores are shared by several workers.
settings.register_profile("suite", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("suite")


def chromium() -> str | None:
    """Path of a Chromium on this machine, or None."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def continuous_integration() -> bool:
    """Whether a missing Chromium is a failure rather than a skip."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


@pytest.fixture(autouse=True)
def _reproducible() -> Iterator[None]:
    """Seed torch's global generator, and leave its settings as they were found."""
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the tests were started with it ignored, by `&`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once, where nobody can miss it, that tests of the browser, or of ArviZ, were skipped."""
    skipped = terminalreporter.stats.get("skipped", [])
    if any("test_arviz.py" in report.nodeid for report in skipped):
        terminalreporter.write_line(NO_ARVIZ, yellow=True, bold=True)
    if any("tests/browser/" in report.nodeid for report in skipped) and chromium() is None:
        terminalreporter.write_line(NO_BROWSER, yellow=True, bold=True)
