"""`python -m vmtl_core table.csv ...`: answers, page, exit status and messages."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vmtl_core as vmtl
from tests.conftest import ROOT
from tests.table.tables import INPUTS
from vmtl_core.lab.datasets import table_file
from vmtl_core.table import read_csv


def command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vmtl_core", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def folder(table: pd.DataFrame, tmp_path: Path) -> Path:
    table.iloc[:200].to_csv(tmp_path / "table.csv", index=False)
    new = table.iloc[200:].drop(columns="score")
    new.iloc[3, new.columns.get_loc("clinic")] = "a new one"
    new.to_csv(tmp_path / "new.csv", index=False)
    return tmp_path


def fits(table: pd.DataFrame) -> list[str]:
    return ["table.csv", "--task", "clinic", "--target", "score", "--inputs", *INPUTS]


class Page(HTMLParser):
    """What a page asks for, and its figures."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.alternatives: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.addresses += [str(found[name]) for name in ("src", "href") if name in found]
        if tag == "img":
            self.alternatives.append(str(found["alt"]))


def test_from_a_table_to_answers_and_a_page(folder: Path, table: pd.DataFrame) -> None:
    more = ["--predict", "new.csv", "--out", "answer.csv", "--report", "report.html"]
    ran = command(*fits(table), *more, "--save", "model", folder=folder)
    assert ran.returncode == 0, ran.stderr
    assert "VMTLRegressor: score ~ age" in ran.stdout
    assert "fit:" in ran.stderr  # the progress bar
    assert "warning: task column 'clinic' names 1 task that the fit has not seen" in ran.stderr
    answer = read_csv(folder / "answer.csv", task="clinic")
    assert len(answer) == 40
    assert "N/A" in set(answer["clinic"])
    new = read_csv(folder / "new.csv", task="clinic")
    with pytest.warns(UserWarning, match="not seen"):
        wanted = vmtl.load(folder / "model").predict(new)
    assert np.allclose(answer["predicted mean"], wanted["mean"])
    page = Page()
    text = (folder / "report.html").read_text("utf-8")
    page.feed(text)
    assert len(page.alternatives) == 6
    assert all(page.alternatives)
    assert all(one.startswith("data:image/png;base64,") for one in page.addresses)
    assert not re.search(r"https?://", text)
    assert "is missing" not in " ".join(page.alternatives)  # coefficients of inputs, not of gaps
    assert "<td>a new one</td>" in text  # a prediction's task


def test_the_command_of_chapter_0(tmp_path: Path) -> None:
    """As it stands there, on the table that it names."""
    text = (ROOT / "book" / "00_your_own_table.ipynb").read_text("utf-8")
    told = re.search(r"`python -m vmtl_core (.+?)`", text)
    assert told
    read_csv(table_file("clinics"), task="clinic").to_csv(tmp_path / "clinics.csv", index=False)
    read_csv(table_file("clinics_new"), task="clinic").to_csv(tmp_path / "new.csv", index=False)
    ran = command(*told[1].split(), "--quiet", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "report.html").is_file()


def test_to_the_screen_and_quiet(folder: Path, table: pd.DataFrame) -> None:
    ran = command(*fits(table), "--predict", "new.csv", "--quiet", folder=folder)
    assert ran.returncode == 0
    assert ran.stdout.startswith("clinic,age,")
    assert len(ran.stdout.splitlines()) == 41
    assert "fit:" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["none.csv", "--task", "clinic", "--target", "score"], 1, "error: .*none.csv"),
        (["table.csv", "--task", "shop", "--target", "score"], 1, "error: `task` must be a column"),
        (
            ["table.csv", "--task", "clinic", "--target", "x"],
            1,
            "error: `--target` must be a column",
        ),
        (
            ["table.csv", "--task", "clinic", "--target", "score", "--out", "a.csv"],
            1,
            "error: `--out` needs `--predict`",
        ),
        (
            ["table.csv", "--task", "clinic", "--target", "score", "--report", "no/where.html"],
            1,
            "error: no/where.html: its folder",
        ),
        (
            ["table.csv", "--task", "clinic", "--target", "visits", "--kind", "class"],
            0,
            None,
        ),
        (["table.csv", "--target", "score"], 2, "required: --task"),
    ],
)
def test_status_and_messages(
    folder: Path, arguments: list[str], status: int, message: str | None
) -> None:
    if message is None:
        arguments = [*arguments, "--inputs", "age", "--quiet"]
        arguments[arguments.index("visits")] = "outcome"
    ran = command(*arguments, folder=folder)
    assert ran.returncode == status, ran.stderr
    assert message is None or re.search(message, ran.stderr)
    assert "Traceback" not in ran.stderr
