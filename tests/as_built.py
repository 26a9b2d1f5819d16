"""nbval's comparison of every chapter with what the build executed, so that it is executed once.

`pytest` collects the chapters through this plugin; nbval's own items, rules and messages stay, only
the kernel is another: it answers with the outputs that `make book` left in `_build/.jupyter_cache`.
`pytest --nbval-lax book` executes the chapters anew, and this plugin then stands back.

A chapter whose code is not in the cache, or that was executed before the code changed, fails.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from jupyter_cache import get_cache
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, IPyNbFile

IDLE = {"msg_type": "status", "content": {"execution_state": "idle"}}


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Chapters as the build executed them, unless nbval is to execute them."""
    option = parent.config.option
    if file_path.suffix != ".ipynb" or option.nbval or option.nbval_lax:
        return None
    return BuiltNotebook.from_parent(parent, path=file_path)


class Recorded:
    """What nbval asks of a kernel, answered from an executed notebook."""

    def __init__(self, cells: list[NotebookNode]) -> None:
        self.cells = cells
        self.number = 0
        self.messages: deque[dict[str, Any]] = deque()

    def is_alive(self) -> bool:
        return True

    def execute_cell_input(self, source: str, allow_stdin: bool | None = None) -> str:
        cell, name = self.cells[self.number], f"cell {self.number}"
        assert cell.source == source
        answers = [{"msg_type": out.output_type, "content": out} for out in cell.outputs]
        self.messages = deque(
            answer | {"parent_header": {"msg_id": name}} for answer in [*answers, IDLE]
        )
        return name

    def get_message(self, stream: str, timeout: float | None = None) -> dict[str, Any]:
        return self.messages.popleft()

    def await_reply(self, name: str, timeout: float | None = None) -> None:
        """The reply is here."""

    def await_idle(self, name: str, timeout: float | None = None) -> None:
        """It never was busy."""

    def stop(self) -> None:
        """Nothing runs."""


class BuiltNotebook(IPyNbFile):
    """A notebook's code cells, those tagged `nbval-check-output` compared, as by `--nbval-lax`."""

    nb: NotebookNode
    kernel: Recorded | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.compare_outputs = False

    def collect(self) -> Iterator[IPyNbCell]:
        for cell in super().collect():
            given = {name: getattr(cell, name) for name in ("name", "cell_num", "cell", "options")}
            yield BuiltCell.from_parent(self, **given)

    def setup(self) -> None:
        root = self.config.rootpath
        found = executed(root / "_build" / ".jupyter_cache", self.nb)
        if found is None:
            message = f"{self.path.name} as it stands has not been executed: run `make book`"
            pytest.fail(message, pytrace=False)
        cells, began = found
        if late := newer(root, began):
            message = f"{late} changed after {self.path.name} was executed: run `make book`"
            pytest.fail(message, pytrace=False)
        self.kernel = Recorded(cells)
        self.setup_sanitize_files()


class BuiltCell(IPyNbCell):
    """A cell that finds its own outputs, whichever cells were run before."""

    def runtest(self) -> None:
        self.parent.kernel.number = self.cell_num
        super().runtest()


def newer(root: Path, since: float) -> Path | None:
    """A file that changes what the chapters print, as in Makefile, and that has changed since."""
    code = (path for path in (root / "vmtl_core").rglob("*") if path.suffix != ".pyc")
    files = [root / "requirements.txt", *(path for path in code if path.is_file())]
    late = (path for path in files if path.exists() and path.stat().st_mtime > since)
    return next((path.relative_to(root) for path in late), None)


def executed(folder: Path, notebook: NotebookNode) -> tuple[list[NotebookNode], float] | None:
    """The notebook's code cells as they were executed, and when that began; None if they never were."""
    if not folder.is_dir():
        return None
    cache = get_cache(folder)
    try:
        number, merged = cache.merge_match_into_notebook(notebook)
        record = cache.get_cache_record(number)
    except KeyError:
        return None
    finally:
        cache.db.dispose()
    ended = record.created.replace(tzinfo=UTC).timestamp()
    cells = [cell for cell in merged.cells if cell.cell_type == "code"]
    return cells, ended - record.data.get("execution_seconds", 0.0)
