// Labelled controls: native elements where there is one, so that the keyboard works everywhere.
import { html, say, uniqueId } from "./axes.js";

/**
 * A labelled slider on a linear or log scale. `set(value)` moves it without calling `onInput`.
 * It has `steps` positions; `step` rounds what it gives; `ticks` are values to print below it.
 */
export function slider(options) {
  const { label, name, min, max, onInput, log = false, steps = 240, step = 0, ticks = [], show = String } = options;
  const id = uniqueId(name);
  const share = (v) => (log ? Math.log(v / min) / Math.log(max / min) : (v - min) / (max - min));
  const toValue = (p) => (log ? min * (max / min) ** (p / steps) : min + (max - min) * (p / steps));
  const round = (v) => (step ? Number((Math.round(v / step) * step).toPrecision(12)) : v);
  const input = html("input", {
    id, type: "range", min: 0, max: steps, step: 1, class: "vmtl-range", "data-name": name,
  });
  const output = html("output", { for: id });
  const scale = html("div", { class: "vmtl-ticks", "aria-hidden": "true" }, ticks.map((t) =>
    html("span", { style: `--at: ${share(t)}` }, String(t).replace("-", "−"))));
  const root = html("div", { class: `vmtl-slider vmtl-slider-${name}` },
    html("label", { for: id }, label), output, html("div", { class: "vmtl-track" }, input, ticks.length ? scale : null));
  let said;
  const tell = (value) => {
    if (value === said) return;
    said = value;
    say(output, show(value));
    input.setAttribute("aria-valuetext", show(value));
    input.style.setProperty("--filled", Math.min(1, Math.max(0, share(value))));
  };
  input.addEventListener("input", () => {
    const value = round(toValue(Number(input.value)));
    tell(value);
    onInput(value);
  });
  return {
    root, input, output,
    set(value) {
      const here = round(toValue(Number(input.value)));
      if (Math.abs(here - value) > 1e-12) input.value = steps * share(value);
      tell(value);
    },
  };
}

export function button({ label, name, title, onClick }) {
  const root = html("button", { type: "button", class: "vmtl-button", "data-name": name, title }, label);
  root.addEventListener("click", onClick);
  return { root };
}

/** A labelled choice; options are [value, text] pairs. */
export function select({ label, name, onChange }) {
  const id = uniqueId(name);
  const input = html("select", { id, class: "vmtl-select", "data-name": name });
  input.addEventListener("change", () => onChange(Number(input.value)));
  let shown = "";
  return {
    input,
    root: html("div", { class: "vmtl-field" }, html("label", { for: id }, label), input),
    set(value, options) {
      if (JSON.stringify(options) !== shown) {
        input.replaceChildren(...options.map(([v, words]) => html("option", { value: v }, words)));
        shown = JSON.stringify(options);
      }
      input.value = String(value);
    },
  };
}

/** Steps across and up of the keys that move a handle. */
export const ARROWS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1], PageDown: [-10, -10], PageUp: [10, 10],
};

/** Where an event is in a drawing, in viewBox coordinates. */
export const frameOf = (drawing, { clientX, clientY }) =>
  new DOMPoint(clientX, clientY).matrixTransform(drawing.getScreenCTM().inverse());

/**
 * Makes an SVG element a slider: dragged by pointer, moved by the arrow keys.
 * `onDrag(x, y)` gets viewBox coordinates, `onKey(dx, dy)` steps; `say(value, words, range)` tells.
 * `onGrab(x, y)` is called where a drag begins.
 */
export function dragHandle(node, { label, onDrag, onKey, onGrab = () => {} }) {
  for (const [k, v] of Object.entries({ role: "slider", tabindex: "0", "aria-label": label })) node.setAttribute(k, v);
  node.classList.add("vmtl-handle");
  const move = (event) => {
    const point = frameOf(node.ownerSVGElement, event);
    onDrag(point.x, point.y);
  };
  node.addEventListener("pointerdown", (event) => {
    const start = frameOf(node.ownerSVGElement, event);
    onGrab(start.x, start.y);
    node.setPointerCapture(event.pointerId);
    node.addEventListener("pointermove", move);
    event.preventDefault();
    node.focus();
  });
  // Browsers heed touch-action where there is a box; without this a finger scrolls the page instead.
  node.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  const stop = () => node.removeEventListener("pointermove", move);
  node.addEventListener("pointerup", stop);
  node.addEventListener("pointercancel", stop);
  node.addEventListener("keydown", (event) => {
    if (!(event.key in ARROWS)) return;
    event.preventDefault();
    onKey(...ARROWS[event.key]);
  });
  return {
    say(value, words, [min, max]) {
      node.setAttribute("aria-valuenow", value);
      node.setAttribute("aria-valuemin", min);
      node.setAttribute("aria-valuemax", max);
      node.setAttribute("aria-valuetext", words);
    },
  };
}
