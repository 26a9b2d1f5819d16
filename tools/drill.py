"""The library under fire: what a user's machine and a user's files may do to it.

    python tools/drill.py                    # everything, ten minutes of it the fuzz
    python tools/drill.py --minutes 1
    python tools/drill.py --only sigkill interrupt

One line for each check with what was seen; the exit status is 1 if one fails. It needs nothing but
the repository and writes nothing but temporary folders. Needs fork (Linux, macOS). Not part of
`make test`: `make drill` and the workflow `weekly` run it.
"""

import argparse
import ast
import io
import json
import multiprocessing
import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import vmtl_core as vmtl  # noqa: E402

PROGRAM = "--program"
STEPS = 60
FORK = multiprocessing.get_context("fork")
Arrays = dict[str, Any]


def table() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three tasks of regression."""
    draw = torch.Generator().manual_seed(0)
    task = torch.arange(30) % 3
    x = torch.cat([torch.randn(30, 2, generator=draw), torch.ones(30, 1)], 1)
    return x, x.sum(-1) + 0.3 * torch.randn(30, generator=draw), task


def build(method: str = "adam") -> vmtl.MultiTaskELBO:
    """A model of the table's; by Adam with samples, so that random numbers matter."""
    sampled = {"divergence": "monte_carlo", "expectation": "sampled"} if method == "adam" else {}
    weights = vmtl.GaussianWeights(3, (3,))
    options: Arrays = {"task_sizes": [10, 10, 10], **sampled}
    return vmtl.MultiTaskELBO(vmtl.LinearGaussian(), weights, **options)


def fit(
    model: vmtl.MultiTaskELBO, steps: int, method: str = "adam", **options: Any
) -> vmtl.History:
    """So many steps, not judged."""
    options = {"lr": 0.03, "tolerance": None, "progress": False} | options
    return vmtl.fit(model, *table(), steps=steps, method=method, **options)


def result(model: vmtl.MultiTaskELBO, history: vmtl.History) -> str:
    """All numbers of a fit, as text."""
    found = {name: value.tolist() for name, value in model.named_parameters()}
    return json.dumps([found, history.terms, history.record_steps])


def straight(method: str = "adam") -> str:
    model = build(method)
    return result(model, fit(model, STEPS, method))


def save(file: Path, model: vmtl.MultiTaskELBO, history: vmtl.History) -> None:
    """In one stroke: a reader sees the old file or the new one."""
    part = file.with_suffix(".part")
    torch.save({"model": model.state_dict(), "history": history.state_dict()}, part)
    part.replace(file)


def resumed(file: Path) -> tuple[vmtl.MultiTaskELBO, vmtl.History | None]:
    model = build()
    if not file.exists():
        return model, None
    state = torch.load(file, weights_only=True)
    model.load_state_dict(state["model"])
    return model, vmtl.History().load_state_dict(state["history"])


def in_chunks(file: Path, chunk: int, sender: Connection | None = None) -> str:
    """A fit that saves what it has after every few steps, and says so."""
    model, history = resumed(file)
    first = 0 if history is None else history.step
    for steps in range(first + chunk, STEPS + chunk, chunk):
        history = fit(model, min(steps, STEPS), resume=history)
        save(file, model, history)
        if sender is not None:
            sender.send(history.step)
    assert history is not None
    return result(model, history)


def child(function: Callable[..., Any], *args: Any) -> Any:
    """What a function returns in a process of its own; `RuntimeError` if that dies."""
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_tell, args=(sender, function, args))
    process.start()
    sender.close()
    try:
        ok, found = receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"the process ended with status {process.exitcode}") from None
    process.join()
    if not ok:
        raise RuntimeError(found)
    return found


def _tell(sender: Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    try:
        sender.send((True, function(*args)))
    except BaseException:
        sender.send((False, traceback.format_exc(limit=-3)))


def sigkill(folder: Path, chance: random.Random) -> str:
    """Killed at ten random moments, resumed each time from the last file: as one straight fit."""
    file = folder / "state.pt"
    killed: list[int] = []
    while len(killed) < 10:
        receiver, sender = FORK.Pipe(duplex=False)
        process = FORK.Process(target=in_chunks, args=(file, 1, sender))
        process.start()
        sender.close()
        for _ in range(chance.randint(1, 5)):
            step = receiver.recv()
        time.sleep(chance.uniform(0, 0.02))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        killed.append(step)
    assert in_chunks(file, 7) == straight()
    return f"killed after steps {killed}; the same numbers as a straight fit of {STEPS}"


def _interrupted(method: str, after: float) -> tuple[int, str]:
    """Ctrl-C comes so many seconds after the start."""
    model, history = build(method), None
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        signal.setitimer(signal.ITIMER_REAL, after)
        history = fit(model, STEPS, method)
    except KeyboardInterrupt as stopped:
        history = stopped.history  # type: ignore[attr-defined]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    step = history.step
    if step < STEPS:
        history = fit(model, STEPS, method, resume=history)
    return step, result(model, history)


def interrupt(folder: Path, chance: random.Random) -> str:
    """Ctrl-C at random moments of both ways to fit; the history is with the exception."""
    steps = []
    for method in ("adam", "coordinate"):
        wanted = straight(method)
        start = time.monotonic()
        straight(method)
        whole = time.monotonic() - start
        for _ in range(5):
            step, found = child(_interrupted, method, chance.uniform(0.1, 0.8) * whole)
            assert found == wanted, f"interrupted at {step}, {method}: other numbers"
            steps.append(step)
    assert any(0 < step < STEPS for step in steps), steps
    return f"stopped at steps {steps}; resumed, the same numbers as a straight fit"


def two_at_once(folder: Path, chance: random.Random) -> str:
    """Two processes side by side, each with its file in one folder."""
    files = [folder / f"{i}.pt" for i in range(2)]
    processes = [FORK.Process(target=in_chunks, args=(file, 7)) for file in files]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    wanted = straight()
    for file in files:
        model, history = resumed(file)
        assert history is not None
        assert result(model, history) == wanted
    return "two processes, the same numbers as one alone"


def program() -> None:
    """What a user's script does, in the folder that it is started in: its numbers, on a line."""
    from vmtl_core.lab.datasets.tables import read_table

    schools = read_table("schools")
    model, history = build("coordinate"), None
    history = fit(model, STEPS, "coordinate")
    other = build()
    terms = fit(other, 20).terms["elbo"]
    save(Path("state.pt"), other, history)
    x, y, task = table()
    p = vmtl.predictive(model, x, task)
    print(
        json.dumps(
            {
                "file": vmtl.__file__,
                "rows": len(schools),
                "terms": terms,
                "mean": p.mean.tolist(),
                "score": float(p.log_prob(y).mean()),
            }
        )
    )


def ran(folder: Path, root: Path = ROOT, flags: tuple[str, ...] = (), **environment: Any) -> Arrays:
    """The numbers of `program`, run by a fresh Python in `folder` with an environment of its own.

    A variable of value "-" is left out.
    """
    given = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"} | environment
    kept = {name: value for name, value in given.items() if value != "-"}
    command = [sys.executable, *flags, str(root / "tools" / "drill.py"), PROGRAM]
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, check=False)
    told = done.stderr.decode("utf-8", "replace").strip()
    assert done.returncode == 0, told[-500:]
    assert not told, told[-500:]
    found: Arrays = json.loads(done.stdout.decode("utf-8").splitlines()[-1])
    assert (folder / "state.pt").is_file()
    at = os.fsdecode(os.fsencode(found.pop("file")))  # where its own encoding was ASCII
    assert Path(at).is_relative_to(root), at
    return found


def same(found: Arrays, wanted: Arrays, tolerance: float = 0.0) -> None:
    """Raise unless two runs gave the same numbers."""
    for name, value in wanted.items():
        a, b = (torch.tensor(one, dtype=torch.float64) for one in (found[name], value))
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def copied(folder: Path) -> Path:
    """The package and this script in another folder."""
    skip = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("vmtl_core", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    return folder


def read_only(folder: Path, chance: random.Random) -> str:
    """Nothing is written into the package's folder."""
    root, work = copied(folder / "package"), folder / "work"
    work.mkdir()
    places = [root, *root.rglob("*")]
    before = {p: p.stat().st_mtime_ns for p in places}
    modes = {p: p.stat().st_mode for p in places}
    for p in places:
        p.chmod(0o555 if p.is_dir() else 0o444)
    try:
        found = ran(work, root, PYTHONDONTWRITEBYTECODE="1")
        after = {p: p.stat().st_mtime_ns for p in [root, *root.rglob("*")]}
    finally:
        for p, mode in modes.items():
            p.chmod(mode)
    assert after == before
    same(found, ran(work))
    who = " (as root, whom modes don't stop: the listing was compared)" if os.geteuid() == 0 else ""
    return f"{len(before)} files and folders unchanged, the same numbers{who}"


def no_home(folder: Path, chance: random.Random) -> str:
    """HOME and its kin unset."""
    gone: Arrays = dict.fromkeys(
        ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "-"
    )
    same(ran(folder, **gone), ran(folder))
    return "the same numbers"


def plain_locale(folder: Path, chance: random.Random) -> str:
    """LC_ALL=C, where Python's default encoding may be ASCII."""
    options: Arrays = {"LC_ALL": "C", "LANG": "-", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    same(ran(folder, **options), ran(folder))
    return "the same numbers"


def threads(folder: Path, chance: random.Random) -> str:
    """One thread and two."""
    same(ran(folder), ran(folder, OMP_NUM_THREADS="2", MKL_NUM_THREADS="2"), tolerance=1e-4)
    return "one and two threads agree to 1e-4"


def strict(folder: Path, chance: random.Random) -> str:
    """Every warning an error; none is given."""
    same(ran(folder, flags=("-W", "error")), ran(folder))
    return "no warning, the same numbers"


def odd_path(folder: Path, chance: random.Random) -> str:
    """Spaces and umlauts in the package's path and the working folder's."""
    odd = folder / "Übung zu großen Tabellen, naïve façade" / "ein Ordner"
    odd.mkdir(parents=True)
    root = copied(odd)
    same(ran(odd, root), ran(folder))
    same(ran(odd, root, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"), ran(folder))
    return "the same numbers, with LC_ALL=C too"


def _megabytes() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)


def _growth(steps: int) -> tuple[float, float]:
    """How the process grows over the second half of the steps, and over as many closed-form fits."""
    model, history = build(), None
    history = fit(model, steps // 2)
    before = _megabytes()
    fit(model, steps, resume=history)
    middle = _megabytes()
    for _ in range(steps // 250):
        other = build("coordinate")
        fit(other, 3, "coordinate")
        vmtl.predictive(other, *table()[::2]).sample()
    return middle - before, _megabytes() - middle


def memory(folder: Path, chance: random.Random) -> str:
    """5,000 steps of Adam; then fits and predictions in a row. A step keeps seven numbers."""
    steps, fits = child(_growth, 5000)
    seen = f"steps 2,500 to 5,000 grew by {steps:.1f} MB, 20 fits and predictions by {fits:.1f} MB"
    assert steps < 16, seen
    assert fits < 32, seen
    return seen


class Hostile:
    """Unpickled, it makes a folder."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os.mkdir, (str(self.trace),)


def _refused(load: Callable[[Any], Any], what: Any) -> bool:
    """Whether loading ends in an error; what it is depends on where the file is broken."""
    try:
        load(what)
    except Exception:
        return True
    return False


def files(folder: Path, chance: random.Random) -> str:
    """A hostile, a truncated and a damaged file: refused, nothing run, nothing half loaded."""
    model = build()
    history = fit(model, 3)
    state = {"model": model.state_dict(), "history": history.state_dict()}
    trace, hostile = folder / "ran", 0
    read = partial(torch.load, weights_only=True)
    spoilt: list[Any] = [Hostile(trace), {**state, "more": Hostile(trace)}]
    spoilt.append({"model": state["model"] | {"_extra_state": Hostile(trace)}})
    for one in spoilt:
        for write in (torch.save, lambda value, file: pickle.dump(value, file, protocol=2)):
            stored = io.BytesIO()
            write(one, stored)
            stored.seek(0)
            assert _refused(read, stored)
            hostile += 1
    assert _refused(model.load_state_dict, {"_extra_state": Hostile(trace)})
    assert not trace.exists(), "code of the file ran"
    stored = io.BytesIO()
    torch.save(state, stored)
    whole = stored.getvalue()
    for _ in range(20):
        part = io.BytesIO(whole[: chance.randrange(len(whole))])
        assert _refused(read, part)
    before = result(model, history)
    for name in history.state_dict():
        for wrong in (object(), {"x": object()}, [object()]):
            broken = history.state_dict() | {name: wrong}
            if not (name in ("settings", "optimizer") and isinstance(wrong, dict)):
                assert _refused(vmtl.History().load_state_dict, broken), name
    assert result(model, history) == before
    calls = _unsafe_calls()
    assert not calls, calls
    return f"{hostile} hostile and 20 truncated files refused, no code run; the core calls no unpickler of code"


def _unsafe_calls() -> list[str]:
    """Where the package would unpickle or evaluate what a file says."""
    names, found = {"pickle", "dill", "joblib", "shelve", "marshal"}, []
    for path in sorted((ROOT / "vmtl_core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
                bad = names & {m.partition(".")[0] for m in modules}
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                bad = {called} & {"eval", "exec", "torch.load", "yaml.load", "pd.read_pickle"}
                if any(ast.unparse(k) == "weights_only=True" for k in node.keywords):
                    bad -= {"torch.load"}
            else:
                continue
            found += [f"{path.name}:{node.lineno} {one}" for one in bad]
    return found


def _fuzzed(seconds: float, seed: int) -> tuple[dict[str, int], dict[str, str]]:
    """In a process that can't take the machine's memory."""
    limit = 16 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    from tools.fuzz import fuzz

    return fuzz(seconds, seed)


def fuzzed(folder: Path, chance: random.Random, minutes: float = 10.0) -> str:
    """Every public function with random shapes, dtypes and values; see `fuzz.py`."""
    counts, found = child(_fuzzed, 60 * minutes, chance.randrange(10**6))
    seen = f"{counts['finite']} calls finite, {counts['refused']} refused by name"
    assert not found, f"{seen}, {counts['wrong']} wrong:" + "".join(
        f"\n    {what}\n        {call[:300]}" for what, call in sorted(found.items())
    )
    return f"{seen}, none else"


CHECKS: dict[str, Callable[..., str]] = {
    "sigkill": sigkill,
    "interrupt": interrupt,
    "two-at-once": two_at_once,
    "read-only": read_only,
    "no-home": no_home,
    "locale": plain_locale,
    "threads": threads,
    "warnings": strict,
    "path": odd_path,
    "memory": memory,
    "files": files,
    "fuzz": fuzzed,
}


def main() -> int:
    """Run what the command line asks for; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of the fuzz")
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=[*CHECKS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(PROGRAM, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.program:
        program()
        return 0
    torch.set_num_threads(1)
    failed = 0
    for name in options.only:
        more = {"minutes": options.minutes} if name == "fuzz" else {}
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                seen, how = CHECKS[name](Path(folder), random.Random(options.seed), **more), "ok  "
            except Exception as error:
                seen, how, failed = f"{type(error).__name__}: {error}", "FAIL", failed + 1
        print(f"{how} {name:<12} {time.monotonic() - start:6.1f} s  {seen}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
