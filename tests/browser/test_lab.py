"""All widgets in a real JupyterLab, which the tests start: what the reader moves, the kernel sees."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import unavailable
from tests.browser.explorer_echo import ECHO
from tests.browser.explorer_evidence import EVIDENCE
from tests.browser.explorer_groups import GROUPS
from tests.browser.explorer_kl import KL
from tests.browser.explorer_latent import LATENT
from tests.browser.explorer_lines import LINES, on_log_scale
from tests.browser.explorer_mixture import MIXTURE
from tests.browser.explorer_predictive import PREDICTIVE
from tests.browser.explorer_replay import REPLAY
from tests.browser.explorer_temperature import TEMPERATURE
from tests.browser.explorers import Act, same, slide
from tests.browser.static_page import Values, read, watched
from vmtl_core.lab.datasets import linked_tasks
from vmtl_core.lab.widgets import TemperatureExplorer, TrainingReplay, record_replay

NAMES = (
    "evidence",
    "receiver",
    "latent",
    "temperature",
    "kl",
    "predictive",
    "echo",
    "groups",
    "lines",
    "replay",
)
CELLS = [
    """import json
from pathlib import Path
from vmtl_core.lab.datasets import linked_tasks
from vmtl_core.lab.widgets import (
    EchoChamberExplorer, EvidenceExplorer, GroupsExplorer, KLExplorer, LatentExplorer,
    LinesLaboratory, MixtureExplorer, PredictiveExplorer, TemperatureExplorer, TrainingReplay, retrain,
)
few, _ = linked_tasks(seed=2).split(10, seed=2)
temperature, kl, predictive = TemperatureExplorer(), KLExplorer(), PredictiveExplorer()
echo, groups, evidence = EchoChamberExplorer(), GroupsExplorer(), EvidenceExplorer()
receiver, latent, lines = MixtureExplorer(), LatentExplorer(), LinesLaboratory()
replay = TrainingReplay(**json.loads(Path("recording.json").read_text()))
asked = 0""",
    *NAMES,
    """asked += 1
if replay.position == 1 and len(replay.runs) == 2:
    retrain(replay, few)
print(json.dumps({"asked": asked, "scale": evidence.scale, "base": receiver.base, "preference": latent.preference, "tau": temperature.tau, "weights": kl.weights,
    "width": predictive.width, "difference": echo.difference, "noise": groups.noise, "delta": lines.delta, "position": replay.position,
    "run": replay.run, "runs": [run["schedule"] for run in replay.runs]}))""",
]
PATIENCE = 60_000
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
# Cells far from the screen are drawn too, as in the page.
ALL_CELLS = {
    "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"}
}
EXECUTE = "command => { void window.jupyterapp.commands.execute(command); }"
RUN_LAST = """() => { const { content } = window.jupyterapp.shell.currentWidget;
  content.activeCellIndex = content.widgets.length - 1;
  void window.jupyterapp.commands.execute('notebook:run-cell'); }"""
READY = f"""() => {{ const shown = window.jupyterapp?.shell?.currentWidget;
  return shown?.content?.widgets?.length === {len(CELLS)} && shown.sessionContext.session?.kernel?.status === 'idle'; }}"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def recording() -> dict[str, Any]:
    """Two short fits; the kernel reads them from a file, so that both hold the same numbers."""
    few, _ = linked_tasks(seed=2).split(10, seed=2)
    return record_replay(few, ["constant"], ["own", "joint"], last=8, count=4)


@pytest.fixture(scope="module")
def lab(
    tmp_path_factory: pytest.TempPathFactory, recording: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """Address and token of a JupyterLab on a folder with one notebook that shows every widget."""
    if find_spec("jupyterlab") is None:
        unavailable("JUPYTERLAB IS MISSING: `pip install jupyterlab`, then repeat `make test`")
    folder = tmp_path_factory.mktemp("lab")
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), folder / "small.ipynb")
    (folder / "recording.json").write_text(json.dumps(recording), encoding="utf-8")
    port, token = free_port(), secrets.token_hex(16)
    private = {
        name: str(folder / ".private" / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    }  # fmt: skip
    for name, settings in ALL_CELLS.items():
        path = Path(private["JUPYTERLAB_SETTINGS_DIR"], name)
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(settings), encoding="utf-8")
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": folder,
        "IdentityProvider.token": token,
        "LabApp.expose_app_in_browser": True,
        "LabApp.news_url": None,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    root = [] if not hasattr(os, "geteuid") or os.geteuid() else ["--allow-root"]
    log = folder / "lab.log"
    with log.open("w") as written:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", *root, *arguments],
            env=os.environ | private, stdout=written, stderr=subprocess.STDOUT, cwd=folder,
        )  # fmt: skip
        address = f"http://127.0.0.1:{port}/"
        try:
            wait_for(address + "api", server, log)
            yield address, token
        finally:
            server.terminate()
            server.wait(20)


def wait_for(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return once the server answers; fail with its log if it stops or takes too long."""
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def ask_kernel(page: Page, asked: int, run: bool = True) -> dict[str, Any]:
    """What the last cell prints when it runs for the `asked`-th time."""
    if run:
        page.evaluate(RUN_LAST)
    page.wait_for_function(
        """([asked]) => [...document.querySelectorAll('.jp-OutputArea-output')]
          .some(e => e.textContent.includes(`"asked": ${asked},`))""",
        arg=[asked],
        timeout=PATIENCE,
    )
    text = page.locator(".jp-OutputArea-output", has_text='"asked"').last.text_content() or ""
    return json.loads(text)


def ask_until(page: Page, asked: int, seen: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask the kernel until it has seen what the page told it, or patience ends; the last answer.

    The first time is the `asked`-th.
    """
    end = time.monotonic() + PATIENCE / 1000
    answer = ask_kernel(page, asked)
    while not seen(answer) and time.monotonic() < end:
        asked += 1
        answer = ask_kernel(page, asked)
    return answer


# Of each widget: the control that is moved, the trait that changes, what it becomes.
MOVES: dict[str, tuple[Act, str, Any]] = {
    "evidence": (slide("scale", 0), "scale", 0.1),
    "receiver": (slide("base", 30), "base", 0.6),
    "latent": (slide("preference", 40), "preference", 1.0),
    "temperature": (slide("tau", 17), "tau", 0.05 * 400 ** (17 / 260)),
    "kl": (slide("weight-0", 80), "weights", [0.8, 0.2, 0.0]),
    "predictive": (slide("width", 20), "width", 0.1 * 40 ** (20 / 160)),
    "echo": (slide("difference", 50), "difference", 2.5),
    "groups": (slide("noise", 13), "noise", 1.4),
    "lines": (slide("delta", 30), "delta", on_log_scale(0.01, 5, 30)),
    "replay": (slide("position", 1), "position", 1),
}


EXPLORERS = {
    one.name: one
    for one in (EVIDENCE, MIXTURE, LATENT, TEMPERATURE, KL, PREDICTIVE, ECHO, GROUPS, LINES, REPLAY)
}


def compare(name: str, values: Values, recording: dict[str, Any]) -> None:
    """Everything that the page shows of a widget, against torch."""
    widget = {"temperature": TemperatureExplorer, "replay": lambda: TrainingReplay(**recording)}
    EXPLORERS[name].compare(values, widget.get(name, lambda: None)())


def test_the_kernel_sees_what_is_moved_and_trains_again(
    browser: Browser, lab: tuple[str, str], recording: dict[str, Any]
) -> None:
    address, token = lab
    with watched(browser, address, viewport={"width": 1200, "height": 1600}) as (page, _):
        page.goto(f"{address}lab/tree/small.ipynb?token={token}", timeout=PATIENCE)
        page.wait_for_function(READY, timeout=PATIENCE)
        page.evaluate(EXECUTE, "notebook:run-all-cells")
        before = ask_kernel(page, 1, run=False)
        for name, (move, trait, wanted) in MOVES.items():
            view = page.locator(f"section.vmtl-{name}")
            view.wait_for(timeout=PATIENCE)
            assert read(view)[trait] == before[trait] != pytest.approx(wanted)
            move(view)
            shown = read(view)
            assert shown[trait] == pytest.approx(wanted)
            compare(name, shown, recording)
        wanted_now = {trait: wanted for _, trait, wanted in MOVES.values()}
        after = ask_until(
            page, 2, lambda now: all(same(now[trait], to) for trait, to in wanted_now.items())
        )
        for trait, wanted in wanted_now.items():
            assert after[trait] == pytest.approx(wanted), trait
        new = "new: constant, jensen, seed 0"
        assert after["runs"] == ["constant", "constant", new]
        replay = page.locator(".vmtl-replay")
        page.wait_for_function(
            "root => JSON.parse(root.dataset.values).run === 2",
            arg=replay.element_handle(),
            timeout=PATIENCE,
        )
        assert read(replay)["schedule"] == new
