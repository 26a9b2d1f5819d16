"""What runs on GitHub: the site waits for the tests, every Python is tried, every target exists."""

import re
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

FOLDER = ROOT / ".github" / "workflows"
# YAML 1.1 reads the key `on` as True.
WORKFLOWS: dict[str, Any] = {
    path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yml"))
}
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"]]


def test_the_site_waits_for_the_tests() -> None:
    pages = WORKFLOWS["pages"]
    started = pages[True]
    assert set(started) == {"workflow_run", "workflow_dispatch"}, "not by a push"
    assert started["workflow_run"]["workflows"] == [WORKFLOWS["tests"]["name"]]
    assert "conclusion == 'success'" in pages["jobs"]["build"]["if"]
    assert pages["jobs"]["deploy"]["needs"] == "build"
    assert "head_sha" in str(pages["jobs"]["build"]["steps"][0]), "the commit that was tested"


def test_every_python_is_tried() -> None:
    tried = WORKFLOWS["tests"]["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert tried == ["3.11", "3.12", "3.13", "3.14"]


def test_newest_and_lowest_versions_are_tried_every_week() -> None:
    assert "schedule" in WORKFLOWS["weekly"][True]
    matrix = WORKFLOWS["weekly"]["jobs"]["dependencies"]["strategy"]["matrix"]["include"]
    assert [entry["which"] for entry in matrix] == ["newest", "lowest"]


def test_the_lowest_versions_are_those_that_the_package_allows() -> None:
    lowest = (ROOT / ".github" / "lowest.txt").read_text("utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+)$", lowest, re.M))
    (line,) = re.findall(
        r"^dependencies = \[(.*)\]$", (ROOT / "pyproject.toml").read_text("utf-8"), re.M
    )
    allowed = dict(re.findall(r'"([\w-]+)>=([\d.]+)"', line))
    assert set(allowed) == set(re.findall(r'"([\w-]+)', line)), "a dependency without a lower bound"
    for name, version in allowed.items():
        assert pinned[name].startswith(version), name


@every_workflow
def test_a_workflow_asks_for_little_and_ends(name: str) -> None:
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


@every_workflow
def test_a_workflow_calls_what_there_is(name: str) -> None:
    for step in steps(name):
        for target in re.findall(r"\bmake (\w+)", step.get("run", "")):
            assert re.search(rf"(?m)^{target}:", MAKEFILE), target
        for path in re.findall(r"(?:^|\s)((?:\.ci|tools)/[\w.]+)", step.get("run", "")):
            assert (ROOT / path).is_file(), path
        assert not re.search(r"\$\{\{\s*(github\.event|inputs)", step.get("run", "")), (
            "an injection"
        )
