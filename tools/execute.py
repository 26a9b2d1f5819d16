"""Execute the chapters that the build's cache does not hold, side by side, as many as there are cores.

Sphinx would execute them one after the other while it reads. It finds them in its cache instead; one
that fails here is not in it, so that the build executes it again and tells what went wrong.

    python tools/execute.py book _build/.jupyter_cache
"""

import sys
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

TIMEOUT = 300  # seconds a cell, as in _config.yml


def main(book: Path, place: Path) -> None:
    cache = get_cache(place)
    for chapter in sorted(book.glob("*.ipynb")):
        cache.add_nb_to_project(str(chapter.resolve()))
    done = load_executor("local-parallel", cache).run_and_cache(timeout=TIMEOUT)
    print(
        f"executed {len(done.succeeded)} chapters, {len(done.excepted) + len(done.errored)} failed"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
