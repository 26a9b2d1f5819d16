"""The README's example runs as it stands and prints the numbers that the README names."""

import re

import pytest

from tests.conftest import ROOT

NUMBERS = r"squared error (?:of )?(\d\.\d\d).*?intervals\s+(?:that )?hold (\d+)%"


def programs() -> list[str]:
    """The example of the front door, and that of the objective underneath."""
    text = (ROOT / "README.md").read_text("utf-8")
    return re.findall(r"^```python\n(.+?)^```", text, re.M | re.S)


def test_quickstart_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    program, below = programs()
    exec(compile(program, "README.md", "exec"), {"__name__": "__main__"})
    printed = re.search(NUMBERS, capsys.readouterr().out)
    promised = re.search(NUMBERS, text.replace(program, "").replace(below, ""), re.S)
    assert printed
    assert promised
    assert float(printed[1]) == pytest.approx(float(promised[1]), abs=0.015)
    assert int(printed[2]) == pytest.approx(int(promised[2]), abs=2)


def test_the_objective_underneath_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(programs()[1], "README.md", "exec"), {"__name__": "__main__"})
    assert "settled" in capsys.readouterr().out
