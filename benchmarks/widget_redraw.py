"""Time from a reader's move of a slider to the finished redraw, of every slider of every widget.

Each widget is opened in headless Chromium as the static page shows it. A move is one input event of
a slider, or one arrow key on a handle that is dragged. What is timed is the work of the page's main
thread for it: the event's handler, then the animation frame with its scripts, style, layout and
paint. `cpu` is the processor time of that thread, so that other programs on the machine disturb it
little; what an empty move costs is taken off. `wall` is the same by the clock. The wait for the
frame to begin is in neither.

    python benchmarks/widget_redraw.py [--json] [--moves 40] [--only TemperatureExplorer]
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Browser, Locator, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser.static_page import SETTLE, named, start, stored, watched, write_page
from tests.conftest import chromium
from vmtl_core.lab import widgets
from vmtl_core.lab.datasets import linked_tasks, schools
from vmtl_core.lab.widgets._base import Widget

FRAME = 16.0
MOVES = 40
NO_BROWSER = (
    "THE WIDGETS WERE NOT TIMED: no Chromium found. Get it with `apt-get install chromium` "
    "(or your system's package), then repeat `make bench`."
)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

WARM_UP = 5  # moves in which the engine compiles
# Makes move i of `moves`, there and back over the control's range; resolves once it is painted, with
# its milliseconds and whether it changed what is shown. Move -1 is an empty one.
MOVE = """([control, i, moves]) => new Promise(done => {
  const root = control.closest('.vmtl'), before = root.dataset.values;
  const act = () => {
    if (i < 0) return;
    if (!control.matches('input')) {
      const key = i % 20 < 10 ? 'ArrowLeft' : 'ArrowRight';
      control.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
      return;
    }
    const turn = (2 * i + 1) / moves, last = Number(control.max);
    const to = Math.round(last * (turn < 1 ? turn : 2 - turn));
    control.value = to !== Number(control.value) ? to : to < last ? to + 1 : to - 1;
    control.dispatchEvent(new Event('input', { bubbles: true }));
  };
  let begun = 0;
  requestAnimationFrame(() => { begun = performance.now(); });
  const asked = performance.now();
  act();
  const handled = performance.now() - asked;
  requestAnimationFrame(() => {                 // after the widget's own, before style and layout
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done([handled + performance.now() - begun, root.dataset.values !== before]);
    port2.postMessage(0);                       // comes after the frame is painted
  });
})"""
SLIDERS = "input[type='range']:not([disabled]), [role='slider']"
Row = dict[str, Any]


def cases() -> dict[str, Widget]:
    """Widgets at the sizes of the book, and at their largest where that is another."""
    few, _ = linked_tasks(seed=1).split(8, seed=1)
    recording = widgets.record_replay(few, ["constant"], last=30)
    logits = torch.linspace(-1, 1, 8).expand(8, 8)
    return {
        "TemperatureExplorer, 4 tasks, 400 draws": widgets.TemperatureExplorer(),
        "TemperatureExplorer, 8 tasks, 1000 draws": widgets.TemperatureExplorer(
            logits=logits, draws=1000
        ),
        "KLExplorer, 300 samples": widgets.KLExplorer(samples=300),
        "PredictiveExplorer": widgets.PredictiveExplorer(),
        "PredictiveExplorer, 100 samples, 100 points": widgets.PredictiveExplorer(
            points=40, samples=100, new_points=100
        ),
        "EchoChamberExplorer": widgets.EchoChamberExplorer(sources="previous"),
        "GroupsExplorer, 12 tasks": widgets.GroupsExplorer(),
        "LatentExplorer": widgets.LatentExplorer(),
        "MixtureExplorer": widgets.MixtureExplorer(),
        "EvidenceExplorer": widgets.EvidenceExplorer(family="full"),
        "LinesLaboratory, 3 tasks": widgets.LinesLaboratory(),
        "TrainingReplay, 3 tasks": widgets.TrainingReplay(**recording),
        "TrainingReplay, 6 schools of 131": widgets.TrainingReplay(**six_schools()),
    }


def six_schools() -> dict[str, Any]:
    """A short recording of the size that chapter 8 shows."""
    train, _ = schools().split(5)
    (train,) = train.standardise()
    names, show = ["constant"], [0, 26, 52, 78, 104, 130]
    return widgets.record_replay(
        train, names, ["own"], last=20, count=21, show=show, intercept=True, weight_samples=2
    )


def measure(browser: Browser, title: str, widget: Widget, moves: int) -> list[Row]:
    """One row a slider: milliseconds of its moves."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write_page(folder, [widget.model_id], stored([widget]))
        with watched(browser, folder.as_uri(), viewport={"width": 1100, "height": 900}) as opened:
            page, errors = opened
            view = start(page, path.as_uri())[0]
            for control in view.locator(SLIDERS).all():
                if not control.is_visible():
                    continue
                label = control.get_attribute("data-name") or control.get_attribute("aria-label")
                named(view, "reset").click()
                page.evaluate(SETTLE)
                times = move(control, moves)
                rows.append({"widget": title, "slider": label, **times})
            if errors:
                sys.exit(f"{title}: errors on the console: {errors}")
    return rows


def move(control: Locator, moves: int) -> dict[str, float]:
    """Medians and 95th percentiles of the milliseconds of `moves` moves, by processor and clock."""
    page, handle = control.page, control.element_handle()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def worked() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(row["value"] for row in metrics if row["name"] == "TaskDuration")

    def one(i: int) -> tuple[float, float, bool]:
        before = worked()
        wall, changed = page.evaluate(MOVE, [handle, i, moves])
        return worked() - before, wall, changed

    for i in range(-WARM_UP, 0):
        one(i % moves)
    empty = statistics.median(one(-1)[0] for _ in range(10))
    cpu, wall, changed = zip(*map(one, range(moves)), strict=True)
    session.detach()
    if sum(changed) < 0.6 * moves:  # on a log scale neighbours may round to the same
        sys.exit(f"{handle}: only {sum(changed)} of {moves} moves changed what is shown")
    return summary("cpu", [max(0.0, time - empty) for time in cpu]) | summary("wall", list(wall))


def summary(name: str, times: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    high = statistics.quantiles(times, n=20)[-1]
    return {f"{name}_median_ms": statistics.median(times), f"{name}_p95_ms": high}


COLUMNS = ("cpu_median_ms", "cpu_p95_ms", "wall_median_ms", "wall_p95_ms")


def show(rows: list[Row]) -> None:
    """The table, and how many sliders stay within a frame."""
    print(f"milliseconds; a frame has {FRAME:.0f}")
    title = ""
    for row in rows:
        if row["widget"] != title:
            title = row["widget"]
            print(f"\n{title}\n{'':<30}{'cpu':>8}{'95 %':>8}{'wall':>8}{'95 %':>8}")
        numbers = "".join(f"{row[name]:>8.1f}" for name in COLUMNS)
        over = "" if row["cpu_p95_ms"] < FRAME else "  over"
        print(f"  {row['slider'][:27]:<28}{numbers}{over}")
    print()
    for name, share in (("cpu_median_ms", "half"), ("cpu_p95_ms", "95 %")):
        within = sum(row[name] < FRAME for row in rows)
        print(
            f"{within} of {len(rows)} sliders: {share} of the moves take less cpu time than a frame"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--moves", type=int, default=MOVES, help="of each slider")
    parser.add_argument("--only", default="", metavar="NAME", help="widgets whose title holds it")
    options = parser.parse_args()
    executable = chromium()
    if executable is None:
        print(NO_BROWSER)
        return
    torch.set_num_threads(1)
    chosen = {title: widget for title, widget in cases().items() if options.only in title}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        rows = [row for title in chosen for row in measure(browser, title, chosen[title], options.moves)]  # fmt: skip
        browser.close()
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        show(rows)


if __name__ == "__main__":
    main()
