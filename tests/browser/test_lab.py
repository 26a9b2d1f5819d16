"""A widget in a real JupyterLab, which the test starts: what the reader moves, the kernel sees."""

import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import unavailable
from tests.browser.static_page import MOVE, watched

CELLS = [
    "from vmtl_core.lab.widgets import TemperatureExplorer\nexplorer = TemperatureExplorer()\nexplorer",
    "print(f'tau is {explorer.tau:.6f}')",
]
PATIENCE = 60_000
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
EXECUTE = "command => { void window.jupyterapp.commands.execute(command); }"
READY = """() => { const shown = window.jupyterapp?.shell?.currentWidget;
  return shown?.content?.widgets?.length === 2 && shown.sessionContext.session?.kernel?.status === 'idle'; }"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and token of a JupyterLab on a folder with one small notebook."""
    if find_spec("jupyterlab") is None:
        unavailable("JUPYTERLAB IS MISSING: `pip install jupyterlab`, then repeat `make test`")
    folder = tmp_path_factory.mktemp("lab")
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), folder / "small.ipynb")
    port, token = free_port(), secrets.token_hex(16)
    private = {
        name: str(folder / ".private" / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    }  # fmt: skip
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


def tau_of_the_kernel(page: Page, other_than: str = "") -> float:
    """The value that the second cell printed, once it differs from `other_than`."""
    page.wait_for_function(
        """([other]) => { const said = [...document.querySelectorAll('.jp-OutputArea-output')]
          .map(e => e.textContent.match(/tau is [\\d.]+/)?.[0]).find(Boolean);
          return said && said !== other; }""",
        arg=[other_than],
        timeout=PATIENCE,
    )
    text = page.locator(".jp-OutputArea-output", has_text="tau is").text_content() or ""
    found = re.search(r"tau is ([\d.]+)", text)
    assert found
    return float(found[1])


def test_the_kernel_sees_the_moved_value(browser: Browser, lab: tuple[str, str]) -> None:
    address, token = lab
    settings = {"viewport": {"width": 1200, "height": 1600}}
    with watched(browser, address, **settings) as (page, _):
        page.goto(f"{address}lab/tree/small.ipynb?token={token}", timeout=PATIENCE)
        page.wait_for_function(READY, timeout=PATIENCE)
        page.evaluate(EXECUTE, "notebook:run-all-cells")
        slider = page.locator(".vmtl-temperature [data-name='tau']").first
        slider.wait_for(timeout=PATIENCE)
        assert tau_of_the_kernel(page) == 1.0
        slider.evaluate(MOVE, 17)
        page.wait_for_timeout(500)
        page.evaluate(EXECUTE, "notebook:run-all-below")  # the last cell is the active one
        assert tau_of_the_kernel(page, "tau is 1.000000") == pytest.approx(
            0.05 * 400 ** (17 / 260), abs=1e-6
        )
