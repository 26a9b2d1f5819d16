// The points of the lines laboratory: dragged, added, taken away, by pointer, finger and key.
import { colourClass, format, marker, svg } from "./axes.js";
import { ARROWS, frameOf } from "./controls.js";
import { MOST_ROWS, place, X, Y } from "./linesstate.js";

const NEAR = 15, FINGER = 1.5, STILL = 5, STEP = 0.05;

/** Sets the attributes of a node that differ. */
export function paint(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** What a reader can do to the points of the chosen task; one of them is picked. */
function editor({ state, change, moved }) {
  let picked = 0;
  const rows = () => state().tasks[state().chosen];
  const put = (some) => change(state().tasks.map((old, t) => (t === state().chosen ? some : old)), state().chosen);
  return {
    rows,
    picked: () => (picked = Math.min(picked, rows().length - 1)),
    pick(t, i) {
      picked = i;
      if (t !== state().chosen) change(state().tasks, t);
      moved();
    },
    step(by) {
      picked = (this.picked() + by + rows().length) % rows().length;
      moved();
    },
    moveTo(x, y) { put(rows().map((old, i) => (i === this.picked() ? place(x, y) : old))); },
    add(x, y) {
      if (rows().length >= MOST_ROWS) return;
      picked = rows().length;
      put([...rows(), place(x, y)]);
    },
    /** Where the task has the widest gap, on its own line. */
    addInGap(value) {
      const at = [-X, ...rows().map(([x]) => x).sort((a, b) => a - b), X];
      const gaps = at.slice(1).map((x, i) => x - at[i]), wide = gaps.indexOf(Math.max(...gaps));
      const x = (at[wide] + at[wide + 1]) / 2;
      this.add(x, value(x));
    },
    remove() {
      if (rows().length > 1) put(rows().filter((_, i) => i !== this.picked()));
    },
  };
}

/** Markers of all points; they are made once. */
function markers(layer) {
  const made = [];
  return ({ tasks, chosen }, { x, y }) => {
    tasks.forEach((rows, t) => {
      made[t] ??= [];
      while (made[t].length < rows.length) {
        made[t].push(marker(t, 0, 0, 4.6));
        layer.append(made[t].at(-1));
      }
      rows.forEach(([px, py], i) => paint(made[t][i], { transform: `translate(${x(px).toFixed(1)},${y(py).toFixed(1)})` }));
    });
    made.forEach((nodes, t) => nodes.forEach((node, i) => {
      node.toggleAttribute("hidden", i >= (tasks[t]?.length ?? 0));
      node.classList.toggle("vmtl-faint", t !== chosen);
    }));
  };
}

/** Drags what is near the pointer, and calls `onEmpty(x, y)` where it is pressed and nothing is near. */
function pointing(drawing, { nearest, grab, drag, onEmpty }) {
  let dragging = false, pressed = null;
  const found = (event) => nearest(frameOf(drawing, event), NEAR * (event.pointerType === "mouse" ? 1 : FINGER));
  drawing.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pressed = frameOf(drawing, event);
    const near = found(event);
    if (!near) return;
    event.preventDefault();
    drawing.setPointerCapture(event.pointerId);
    dragging = true;
    grab(...near);
  });
  // Browsers heed touch-action where there is a box; without this a finger scrolls the page instead.
  drawing.addEventListener("touchstart", (event) => { if (found(event.touches[0])) event.preventDefault(); }, { passive: false });
  drawing.addEventListener("pointermove", (event) => {
    if (!dragging) return;
    const { x, y } = frameOf(drawing, event);
    drag(x, y);
  });
  const stop = () => { [dragging, pressed] = [false, null]; };
  drawing.addEventListener("pointerup", (event) => {
    const { x, y } = frameOf(drawing, event);
    if (!dragging && pressed && Math.hypot(x - pressed.x, y - pressed.y) < STILL) onEmpty(x, y);
    stop();
  });
  drawing.addEventListener("pointercancel", stop);
}

/**
 * The points in a drawing. `state()` gives { tasks, chosen }; `change(tasks, chosen)` is called with
 * what the reader makes of them; `value(x)` is the chosen task's line.
 */
export function pointsLayer({ drawing, state, change, value }) {
  const marks = svg("g", { "aria-hidden": "true" }), put = markers(marks);
  const handle = svg("g", { role: "slider", tabindex: 0, class: "vmtl-handle vmtl-picked" }, svg("circle", { r: 9, class: "vmtl-ring" }));
  let scale;
  function showPicked() {
    const { chosen } = state(), i = edit.picked(), [x, y] = edit.rows()[i];
    paint(handle, {
      transform: `translate(${scale.x(x).toFixed(1)},${scale.y(y).toFixed(1)})`, class: `vmtl-handle vmtl-picked ${colourClass(chosen)}`,
      "aria-label": "point", "aria-valuenow": String(y), "aria-valuemin": String(-Y), "aria-valuemax": String(Y),
      "aria-valuetext": `point ${i + 1} of ${edit.rows().length} of task ${chosen + 1}: x ${format(x)}, y ${format(y)}`,
    });
  }
  const edit = editor({ state, change, moved: showPicked });
  const inFrame = (x, y) => x >= scale.left && x <= scale.right && y >= scale.top && y <= scale.bottom;
  pointing(drawing, {
    nearest({ x, y }, reach) {                      // the chosen task's points first, where two are near
      let best = null, least = reach;
      state().tasks.forEach((rows, t) => rows.forEach(([px, py], i) => {
        const away = Math.hypot(scale.x(px) - x, scale.y(py) - y) - (t === state().chosen ? 3 : 0);
        if (away < least) [best, least] = [[t, i], away];
      }));
      return best;
    },
    grab(t, i) {
      edit.pick(t, i);
      handle.focus({ preventScroll: true });
    },
    drag: (x, y) => edit.moveTo(scale.x.invert(x), scale.y.invert(y)),
    onEmpty(x, y) { if (inFrame(x, y)) edit.add(scale.x.invert(x), scale.y.invert(y)); },
  });
  const add = () => edit.addInGap(value), remove = () => edit.remove();
  const keys = { n: () => edit.step(1), p: () => edit.step(-1), delete: remove, backspace: remove, insert: add, "+": add };
  handle.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [dx, dy] = ARROWS[event.key] ?? [], [x, y] = edit.rows()[edit.picked()];
    const work = event.key in ARROWS ? () => edit.moveTo(x + (dy ? 0 : STEP * dx), y + STEP * dy) : keys[event.key.toLowerCase()];
    if (!work) return;
    event.preventDefault();
    work();
  });
  return {
    marks, handle, add, remove,
    draw(now, at) {
      scale = at;
      put(now, scale);
      showPicked();
    },
  };
}
