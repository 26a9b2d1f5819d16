// E[alpha] against tau on a log axis, with a handle on tau that can be dragged.
import {
  bottomAxis, colourClass, dashOf, format, formatLog, leftAxis, line, linearScale, logScale, logTicks, marker,
  panel, say, spread, svg, text,
} from "./axes.js";
import { dragHandle } from "./controls.js";

/** Panel of `curves[k]` over `taus`; `onTau(tau)` when the reader moves the handle. */
export function expectedPanel({ range, onTau }) {
  const view = panel("expected", "");
  view.drawing.setAttribute("role", "group");
  const picture = svg("g", { "aria-hidden": "true" }), handle = svg("g");
  view.drawing.append(picture, handle);
  let x = logScale(range, [0, 1]), now = 1;
  const clip = (tau) => Math.min(range[1], Math.max(range[0], tau));
  const knob = dragHandle(handle, {
    label: "temperature tau in the plot of expected weights",
    onDrag: (px) => onTau(clip(x.invert(px))),
    onKey: (dx) => { now = clip(now * 1.05 ** dx); onTau(now); },   // two presses may share a frame
  });
  function draw({ taus, curves, mean, pi, names, sources, tau }, receiver) {
    say(view.caption, `Mean weight E[α] of each source for ${receiver}, against τ`);
    const [width, height] = view.resize(262);
    const left = 32, right = width - 60 - 7 * Math.max(...names.map((n) => Math.min(8, n.length)));
    const bottom = height - 38;
    x = logScale(range, [left, right]);
    now = tau;
    const y = linearScale([0, 1], [bottom, 10]);
    const at = x(clip(tau));
    const labels = spread(mean.map(y), 15, 14, bottom);
    picture.replaceChildren(
      leftAxis(y, left, { ticks: [0, 0.5, 1], gridTo: right }),
      bottomAxis(x, bottom, { ticks: logTicks(...range), label: "temperature τ (log scale)" }),
      ...curves.map((curve, k) => svg("path", {
        d: line(taus.map((t, i) => [x(t), y(curve[i])])), class: `vmtl-curve ${colourClass(sources[k])}`,
        "stroke-dasharray": dashOf(sources[k]),
      })),
      ...names.flatMap((name, k) => [
        marker(sources[k], right + 16, labels[k], 4),
        text(right + 25, labels[k] + 4, `${name.slice(0, 8)} ${format(mean[k])}`)]),
      svg("path", { class: "vmtl-pi", d: pi.map((p) => `M${left},${y(p) - 5}l5,5l-5,5l-5,-5Z`).join("") }));
    handle.replaceChildren(
      svg("rect", { x: at - 14, y: 4, width: 28, height: bottom - 4, class: "vmtl-grip" }),
      svg("path", { d: `M${at},${bottom}V10`, class: "vmtl-now" }),
      svg("path", { d: `M${at - 6},4h12l-6,8Z`, class: "vmtl-now-head" }),
      ...mean.map((m, k) => marker(sources[k], at, y(m))));
    knob.say(tau, `tau ${formatLog(tau)}`, range);
    view.describe(`Mean weights at tau ${formatLog(tau)}: ${names.map((name, k) =>
      `${name} ${format(mean[k])}, preference ${format(pi[k])}`).join("; ")}.`);
  }
  return { ...view, draw };
}
