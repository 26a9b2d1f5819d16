"""The resumable sweep of the benchmarks: nothing is run twice, a stop loses nothing."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.sweep import Job, run_missing

KEYS = ["n", "seed", "method"]
NAMES = ["late", "early"]  # the order of the table, which isn't that of the alphabet
JOBS: list[Job] = [({"n": n, "seed": seed}, NAMES) for seed in (0, 1) for n in (5, 3)]


class Comparison:
    """Makes up scores, remembers what it was asked, and stops before one split if told to."""

    def __init__(self, stop_at: tuple[int, int] | None = None):
        self.stop_at, self.asked = stop_at, list[tuple[int, int, tuple[str, ...]]]()

    def __call__(self, n: int, seed: int, methods: Sequence[str]) -> pd.DataFrame:
        if (n, seed) == self.stop_at:
            raise KeyboardInterrupt
        self.asked.append((n, seed, tuple(methods)))
        rows = [{"n": n, "seed": seed, "method": m, "score": n + seed / 3} for m in methods]
        return pd.DataFrame(rows)


def test_a_stopped_sweep_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "scores.csv"
    first, second = Comparison(stop_at=(5, 1)), Comparison()
    with pytest.raises(KeyboardInterrupt):
        run_missing(JOBS, first, path, KEYS, NAMES)
    table = run_missing(JOBS, second, path, KEYS, NAMES)
    assert first.asked == [(5, 0, ("late", "early")), (3, 0, ("late", "early"))]
    assert second.asked == [(5, 1, ("late", "early")), (3, 1, ("late", "early"))]
    once = run_missing(JOBS, Comparison(), tmp_path / "at once.csv", KEYS, NAMES)
    assert path.read_text() == (tmp_path / "at once.csv").read_text()
    found = list(table[KEYS].itertuples(index=False, name=None))
    assert found == [(n, s, m) for n in (3, 5) for s in (0, 1) for m in NAMES]
    assert len(once) == len(table) == 8


def test_only_missing_methods_are_run(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    run_missing(JOBS, Comparison(), path, KEYS, NAMES)
    before = path.read_text()
    again = Comparison()
    run_missing(JOBS, again, path, KEYS, NAMES)
    assert again.asked == []
    assert path.read_text() == before
    more = [*NAMES, "newest"]
    run_missing([({"n": 3, "seed": 1}, more)], again, path, KEYS, more)
    assert again.asked == [(3, 1, ("newest",))]


def test_a_stop_while_writing_leaves_the_old_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scores.csv"
    run_missing(JOBS[:1], Comparison(), path, KEYS, NAMES)
    before = path.read_text()

    def torn(self: pd.DataFrame, target: Path, **options: object) -> None:
        Path(target).write_text("n,se")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_csv", torn)
        with pytest.raises(KeyboardInterrupt):
            run_missing(JOBS, Comparison(), path, KEYS, NAMES)
    assert path.read_text() == before
    run_missing(JOBS, Comparison(), path, KEYS, NAMES)
    assert [file.name for file in tmp_path.iterdir()] == ["scores.csv"]
