"""Try wrong versions of the core, one change at a time, and report those that no test sees.

    python tools/mutate.py --count 100 --seed 0
    python tools/mutate.py --files vmtl_core/mixing.py --tests tests/analytic/test_mixing.py
    python tools/mutate.py --list --files vmtl_core/priors.py

Each mutant, one of `tools/mutations.py`, is put into a copy of the core in a temporary folder; the
fast tests of the core run there and the first failure stops them. Killed is a mutant under which a
test fails or which runs out of time; survived, one that no test sees. For a survivor write the
smallest assertion that fails under it, in a short file named by what it sees; if the change makes no
difference to anything that the core promises, list it in `tools/equivalent_mutants.txt`, by the
label that is printed (file | line | change), and say why on the line below.

`--seed` and `--count` draw the same mutants as long as the files are the same. Results go to
`--results`, a line of JSON each; what is there already isn't run again, so that an interrupted run
goes on where it stopped. The exit status is 1 if fewer than `--bar` of the mutants were killed, the
equivalent ones not counted. Not part of `make test`: the workflow `weekly` runs it.

Needs fork (Linux, macOS): every mutant's process starts from one that has imported torch already.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

from mutations import Mutant, mutants, required_arguments

ROOT = Path(__file__).parents[1]
CORE = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "vmtl_core").glob("*.py"))
FOLDERS = ("analytic", "properties", "gradients", "errors", "closed_form", "training")
# What is slow, or changes formulas itself.
LEFT_OUT = ("test_clusters_bar", "test_mutants", "test_pyro", "test_drill")
DESELECTED = "not compile and not compiled and not distributed_data_parallel"
FIRST = 4  # so many files, those that most often killed, are run before the rest are read
# What the core and its tests import: once, not for each mutant.
PRELOADED: tuple[str, ...] = (
    "torch",
    "torch._dynamo",
    "pytest",
    "scipy.integrate",
    "scipy.optimize",
    "scipy.stats",
)
PRELOADED += ("hypothesis", "torch.utils.data")
EQUIVALENT = ROOT / "tools" / "equivalent_mutants.txt"


def main() -> int:
    """Run what the command line asks for; see the module's docstring."""
    options = arguments()
    sources = {name: (ROOT / name).read_text("utf-8") for name in options.files}
    chosen = sample(sources, options.count, options.seed)
    print(f"{len(chosen)} mutants of seed {options.seed}", flush=True)
    if options.list:
        for key, name, one in chosen:
            print(f"{name}:{one.line}  {key}")
        return 0
    equal, done = equivalent(), earlier(options.results)
    runner = Runner(options.tests, options.timeout)
    if not options.unchecked:
        runner.check()
    outcomes: Counter[str] = Counter()
    for key, name, one in chosen:
        if key in equal:
            outcomes["equivalent"] += 1
            continue
        if key not in done:
            done[key] = runner.run(name, one.apply(sources[name]))
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"mutant": key, **done[key]}) + "\n")
        outcomes[done[key]["outcome"]] += 1
        if done[key]["outcome"] == "survived" or options.verbose:
            print(
                f"{done[key]['outcome']}  {name}:{one.line}  {key}  {done[key]['by']}", flush=True
            )
    tried = outcomes["killed"] + outcomes["survived"] + outcomes["time-out"]
    share = 1 - outcomes["survived"] / max(tried, 1)
    print(f"{dict(outcomes)}: {share:.1%} of {tried} killed")
    return int(share < options.bar)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", nargs="+", default=CORE, help="files of the core to change")
    parser.add_argument("--tests", nargs="+", default=fast_tests(), help="test files to run")
    parser.add_argument("--count", type=int, default=100, help="how many mutants; 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one mutant")
    parser.add_argument("--results", type=Path, default=ROOT / "mutants.jsonl")
    parser.add_argument("--bar", type=float, default=0.95, help="least share killed")
    parser.add_argument("--list", action="store_true", help="only say which mutants")
    parser.add_argument("--unchecked", action="store_true", help="skip the run without a mutant")
    parser.add_argument("--verbose", action="store_true", help="name the killed ones too")
    return parser.parse_args()


def fast_tests() -> list[str]:
    """The test files of the core, without the slow ones."""
    return [
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in sorted((ROOT / "tests" / folder).glob("test_*.py"))
        if path.stem not in LEFT_OUT
    ]


def sample(sources: dict[str, str], count: int, seed: int) -> list[tuple[str, str, Mutant]]:
    """`count` mutants of these files, every one as likely, with label and file; all for 0."""
    needed = required_arguments([(ROOT / name).read_text("utf-8") for name in CORE])
    every = [
        (key, name, one)
        for name, text in sources.items()
        for key, one in labelled(name, text, mutants(text, needed))
    ]
    return random.Random(seed).sample(every, min(count, len(every))) if count else every


def labelled(name: str, source: str, found: list[Mutant]) -> Iterator[tuple[str, Mutant]]:
    """Each with a name that stays when other lines change: file | line | change, and a number
    where the file has several such.
    """
    lines, seen = source.splitlines(), Counter[str]()
    for one in found:
        key = f"{name} | {lines[one.line - 1].strip()} | {one.describe(source)}"
        seen[key] += 1
        yield (f"{key} #{seen[key]}" if seen[key] > 1 else key), one


def equivalent() -> set[str]:
    """Labels of mutants that change nothing; every second line is the reason."""
    if not EQUIVALENT.exists():
        return set()
    lines = EQUIVALENT.read_text("utf-8").splitlines()
    return {line for line in lines if line.startswith("vmtl_core/")}


def earlier(results: Path) -> dict[str, dict[str, str]]:
    """Outcomes of an earlier run."""
    if not results.exists():
        return {}
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    return {row.pop("mutant"): row for row in rows}


class Runner:
    """Runs the tests under one mutant after another, in a copy of the repository."""

    def __init__(self, tests: list[str], timeout: float):
        self.tests, self.timeout = tests, timeout
        self.killers: dict[str, Counter[str]] = {}
        for name in PRELOADED:
            __import__(name)

    def check(self) -> None:
        """Raise unless the tests pass on the core as it is: else every mutant would seem killed."""
        name = CORE[0]
        result = self.run(name, (ROOT / name).read_text("utf-8"))
        if result["outcome"] != "survived":
            raise SystemExit(f"the tests don't pass on the core as it is: {result}")

    def run(self, name: str, text: str) -> dict[str, str]:
        """Outcome ("killed", "survived", "time-out") and the test that killed."""
        often = self.killers.setdefault(name, Counter())
        with copy_of_the_core() as folder:
            (folder / name).write_text(text, "utf-8")
            ordered = sorted(self.tests, key=lambda test: -often[test])
            for stage in filter(None, (ordered[:FIRST], ordered[FIRST:])):
                outcome, by = in_a_process(folder, stage, self.timeout)
                if outcome != "survived":
                    break
        if by:
            often[by.split("::")[0]] += 1
        return {"outcome": outcome, "by": by}


class copy_of_the_core:
    """A temporary folder with the core and its tests; `lab` is only linked."""

    def __enter__(self) -> Path:
        self.folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        skip = shutil.ignore_patterns("__pycache__", "lab", "book", "browser")
        for part in ("vmtl_core", "tests"):
            shutil.copytree(ROOT / part, self.folder / part, ignore=skip)
        (self.folder / "vmtl_core" / "lab").symlink_to(ROOT / "vmtl_core" / "lab")
        shutil.copy(ROOT / "pyproject.toml", self.folder)
        return self.folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder)


def in_a_process(folder: Path, tests: list[str], timeout: float) -> tuple[str, str]:
    """Run the tests in a process of their own, stopped with its children after `timeout` seconds."""
    context = multiprocessing.get_context("fork")
    child = context.Process(target=run_tests, args=(folder, tests))
    child.start()
    child.join(timeout)
    late = child.exitcode is None
    if late:
        with suppress(ProcessLookupError):
            os.killpg(child.pid or 0, signal.SIGKILL)
        child.join()
    if late:
        return "time-out", ""
    if child.exitcode == 0:
        return "survived", ""
    report = folder / "failed"
    if not report.exists():
        raise RuntimeError(f"the tests did not run:\n{(folder / 'log').read_text('utf-8')[-2000:]}")
    return "killed", report.read_text("utf-8")


def run_tests(folder: Path, tests: list[str]) -> None:
    """In the child: the tests, from the copy; the first failure is written to a file."""
    import pytest

    os.setsid()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the core's tests need none
    os.chdir(folder)
    sys.path[:0] = [str(folder)]
    os.environ["PYTHONPATH"] = str(folder)
    sys.dont_write_bytecode = True

    def note(report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.failed:
            (folder / "failed").write_text(report.nodeid, "utf-8")

    class Failures:
        pytest_runtest_logreport = staticmethod(note)
        pytest_collectreport = staticmethod(note)

    options = ["-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]
    options += ["-k", DESELECTED, "--no-header", "--tb=no"]
    with (folder / "log").open("w") as log, redirect_stdout(log), redirect_stderr(log):
        status = pytest.main([*options, *tests], plugins=[Failures()])
    os._exit(int(status))


if __name__ == "__main__":
    sys.exit(main())
