"""ruff (lint, format) and mypy find nothing."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

FOLDERS = ("vmtl_core", "tests", "benchmarks", "tools", "_ext", "examples")
COMMANDS = {
    "lint": ("ruff", "check", "--no-fix", "."),
    "format": ("ruff", "format", "--check", "--diff", "."),
    "types": ("mypy", *(folder for folder in FOLDERS if (ROOT / folder).is_dir())),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_code_style(command: tuple[str, ...]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
