// Terms of the objective over the recorded steps, with a handle on the step that can be dragged.
import {
  bottomAxis, colourClass, format, leftAxis, line, linearScale, linearTicks, marker, panel, spread, svg, text,
} from "./axes.js";
import { dragHandle } from "./controls.js";

export const TERMS = [
  ["elbo", "objective", 6], ["log_likelihood", "log likelihood", 0], ["kl_weights", "KL of weights", 1],
  ["hyperprior", "hyperprior", 2],
];
const SHORT = ["objective", "log lik.", "KL", "hyperp."];
const DASHES = ["", "7 3", "2 3", "9 3 2 3"];

/** Position of the recorded step that is nearest to `step`. */
export function nearest(steps, step) {
  let best = 0;
  steps.forEach((s, i) => { if (Math.abs(s - step) < Math.abs(steps[best] - step)) best = i; });
  return best;
}

/** Panel of the terms; `onPosition(i)` when the reader moves the handle. */
export function termsPanel({ onPosition }) {
  const view = panel("terms", "Objective = log likelihood − KL of weights + hyperprior; nats, means over tasks, one noisy estimate a step");
  view.drawing.setAttribute("role", "group");
  const picture = svg("g", { "aria-hidden": "true" }), handle = svg("g");
  view.drawing.append(picture, handle);
  let x = linearScale([0, 1], [0, 1]), at = 0, known = [0, 1];
  const knob = dragHandle(handle, {
    label: "step, in the plot of the terms",
    onDrag: (px) => onPosition(nearest(known, x.invert(px))),
    onKey: (dx) => { at = Math.min(known.length - 1, Math.max(0, at + dx)); onPosition(at); },
  });
  function draw({ steps, terms, position, range }) {
    const [width, height] = view.resize(250);
    const narrow = width < 420, left = 38, right = width - (narrow ? 112 : 148), bottom = height - 38;
    [known, at] = [steps, position];
    x = linearScale([steps[0], steps.at(-1)], [left, right]);
    const y = linearScale(range, [bottom, 12]), now = x(steps[position]);
    const ends = spread(TERMS.map(([name]) => y(terms[name][position])), 16, 12, bottom);
    picture.replaceChildren(
      leftAxis(y, left, { ticks: linearTicks(...range, 5), gridTo: right, tickFormat: (t) => String(t).replace("-", "−") }),
      bottomAxis(x, bottom, { ticks: linearTicks(...x.domain, 6), label: "step" }),
      ...TERMS.flatMap(([name, label, k], i) => [
        svg("path", {
          class: `vmtl-curve ${colourClass(k)}`, "stroke-dasharray": DASHES[i] || null,
          d: line(terms[name].map((v, s) => [x(steps[s]), y(Math.max(range[0], Math.min(range[1], v)))])),
        }),
        marker(k, right + 14, ends[i], 4), text(right + 24, ends[i] + 4, `${narrow ? SHORT[i] : label} ${format(terms[name][position], 1)}`),
      ]));
    handle.replaceChildren(
      svg("rect", { x: now - 14, y: 4, width: 28, height: bottom - 4, class: "vmtl-grip" }),
      svg("path", { d: `M${now},${bottom}V10`, class: "vmtl-now" }),
      svg("path", { d: `M${now - 6},4h12l-6,8Z`, class: "vmtl-now-head" }),
      ...TERMS.map(([name, , k]) => marker(k, now, y(Math.max(range[0], Math.min(range[1], terms[name][position]))))));
    knob.say(steps[position], `step ${steps[position]}`, [steps[0], steps.at(-1)]);
    view.describe(`Terms at step ${steps[position]}: ${TERMS.map(([name, label]) =>
      `${label} ${format(terms[name][position], 1)}`).join(", ")}.`);
  }
  return { ...view, draw };
}
