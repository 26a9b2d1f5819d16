"""The quick part of `make drill`: what a kill and a file of a stranger's may do."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import drill


@pytest.mark.nightly
def test_killed_and_hostile() -> None:
    """A fit killed ten times is resumed to the same numbers; no file runs code."""
    command = [sys.executable, "tools/drill.py", "--only", "sigkill", "files"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [line.split()[:2] for line in ran.stdout.splitlines()] == [
        ["ok", "sigkill"],
        ["ok", "files"],
    ]


def test_a_check_that_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, the others run, and the status is 1."""

    def wrong(folder: Path, chance: random.Random) -> str:
        raise AssertionError("seen")

    monkeypatch.setattr(drill, "CHECKS", {"wrong": wrong, "right": lambda *_: "done"})
    monkeypatch.setattr(sys, "argv", ["drill.py"])
    assert drill.main() == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("FAIL wrong")
    assert first.endswith("AssertionError: seen")
    assert second.startswith("ok   right")
