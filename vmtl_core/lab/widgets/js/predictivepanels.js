// The four pictures of the predictive widget: lines and intervals, the mixture, its variance, coverage.
import {
  bottomAxis, format, hatching, leftAxis, line, linearScale, linearTicks, panel, say, svg, text, uniqueId,
} from "./axes.js";
import { dragHandle } from "./controls.js";
import { normalPdf } from "./math.js";

const X = [-3.2, 3.2], REACH = [-3, 3], TICKS = [-4, -2, 0, 2, 4];
const minus = (t) => String(t).replace("-", "−");
const inside = (v, [low, high]) => Math.min(high, Math.max(low, v));

/** Data, sampled lines, intervals of the new points, and a handle on x. */
export function linesPanel({ Y, onX }) {
  const view = panel("lines", "Data (squares), sampled lines, and new points with their 90 % intervals. Drag the upright bar to choose x");
  view.drawing.setAttribute("role", "group");
  const id = uniqueId("frame"), frame = svg("rect"), picture = svg("g", { "aria-hidden": "true" }), handle = svg("g");
  view.drawing.append(svg("defs", {}, svg("clipPath", { id }, frame)), picture, handle);
  let x = linearScale(X, [0, 1]), now = 0;
  const clip = (v) => Number(inside(Math.round(v * 20) / 20, REACH).toFixed(6));
  const knob = dragHandle(handle, {
    label: "position x", onDrag: (px) => onX(clip(x.invert(px))),
    onKey: (dx, dy) => { now = clip(now + 0.1 * (dx || dy)); onX(now); },     // two presses may share a frame
  });
  function draw({ data, lines, checked, x: at, interval, samples }) {
    const [width, height] = view.resize((w) => (w > 480 ? 330 : 270));
    const bottom = height - 38, left = 28, right = width - 8;
    x = linearScale(X, [left, right]);
    now = at;
    const y = linearScale(Y, [bottom, 8]);
    for (const [k, v] of Object.entries({ x: left, y: 8, width: right - left, height: bottom - 8 })) frame.setAttribute(k, v);
    const path = (rows) => rows.map(([w0, w1]) => `M${left},${y(w0 + w1 * X[0]).toFixed(1)}L${right},${y(w0 + w1 * X[1]).toFixed(1)}`).join("");
    const bars = (hit) => checked.filter((c) => c.inside === hit)
      .map((c) => `M${x(c.x).toFixed(1)},${y(c.ends[0]).toFixed(1)}V${y(c.ends[1]).toFixed(1)}`).join("");
    const marks = (hit, shape) => checked.filter((c) => c.inside === hit)
      .map((c) => `M${x(c.x).toFixed(1)},${y(inside(c.y, Y)).toFixed(1)}${shape}`).join("");
    picture.replaceChildren(
      leftAxis(y, left, { ticks: TICKS, gridTo: right, tickFormat: minus }),
      bottomAxis(x, bottom, { ticks: [-3, -2, -1, 0, 1, 2, 3], tickFormat: minus, label: "input x" }),
      svg("g", { "clip-path": `url(#${id})` },
        svg("path", { class: "vmtl-sampled", d: path(lines) }),
        svg("path", { class: "vmtl-last", d: path(lines.slice(-1)) }),
        svg("path", { class: "vmtl-hit", d: bars(true) }), svg("path", { class: "vmtl-miss", d: bars(false) })),
      svg("path", { class: "vmtl-hit-mark", d: marks(true, "h0") }),
      svg("path", { class: "vmtl-miss-mark", d: marks(false, "m-4,-4l8,8m0,-8l-8,8") }),
      svg("path", { class: "vmtl-data", d: data.x.map((v, i) => `M${x(v) - 4},${y(inside(data.y[i], Y)) - 4}h8v8h-8Z`).join("") }));
    const ends = interval.map((v) => y(inside(v, Y)));
    handle.replaceChildren(
      svg("rect", { x: x(at) - 14, y: 4, width: 28, height: bottom - 4, class: "vmtl-grip" }),
      svg("path", { class: "vmtl-now", d: `M${x(at)},${bottom}V8` }),
      svg("path", { class: "vmtl-now-interval", d: `M${x(at)},${ends[0]}V${ends[1]}` }),
      svg("path", { class: "vmtl-now-head", d: `M${x(at) - 6},2h12l-6,8Z` }));
    knob.say(at, `x ${format(at)}`, REACH);
    view.describe(`${data.x.length} data points, ${samples} sampled lines, ${checked.length} new points with their intervals. ` +
      `At x ${format(at)} the 90 percent interval reaches from ${format(interval[0])} to ${format(interval[1])}.`);
  }
  return { ...view, draw };
}

/** Components and their mean, the predictive density of y at x. */
export function mixturePanel({ Y }) {
  const view = panel("mixture", "");
  function draw({ x: at, means, noise, density, interval, samples }) {
    say(view.caption, `Predictive at x = ${format(at)}: ${samples} ${samples === 1 ? "component" : "components"}, each times 1/M (dashed), and their sum`);
    const [width, height] = view.resize((w) => (w > 340 ? 330 : 230));
    const bottom = height - 38, x = linearScale(Y, [8, width - 8]);
    const highest = Math.max(...density.mixture), y = linearScale([0, Math.max(0.5, 1.06 * highest)], [bottom, 16]);
    const outline = line(density.y.map((v, i) => [x(v), y(density.mixture[i])]));
    const hump = Array.from({ length: 25 }, (_, i) => -3 + i / 4).map((z) => [z * noise, normalPdf(z, 0, 1) / noise / samples]);
    const humps = Array.from(means, (m) =>
      line(hump.filter(([d]) => m + d > Y[0] && m + d < Y[1]).map(([d, p]) => [x(m + d), y(p)]))).join("");
    view.drawing.replaceChildren(
      svg("path", { d: `${outline}V${bottom}H${x(Y[0])}Z`, class: "vmtl-area" }),
      svg("path", { d: humps, class: "vmtl-component" }),
      svg("path", { d: outline, class: "vmtl-sum" }),
      svg("path", { class: "vmtl-rug", d: Array.from(means).filter((m) => m > Y[0] && m < Y[1]).map((m) => `M${x(m).toFixed(1)},${bottom}v-7`).join("") }),
      svg("path", { class: "vmtl-bracket", d: `M${x(inside(interval[0], Y))},${bottom - 7}H${x(inside(interval[1], Y))}` +
        interval.filter((v) => v === inside(v, Y)).map((v) => `M${x(v)},${bottom - 12}v10`).join("") }),
      text(8, 10, "density", { class: "vmtl-axis-label" }),
      bottomAxis(x, bottom, { ticks: TICKS, tickFormat: minus, label: "target y; bracket: 90 % interval" }));
    view.describe(`Predictive density at x ${format(at)}, the mean of ${samples} normal densities of sd ${format(noise)}; ` +
      `90 percent interval from ${format(interval[0])} to ${format(interval[1])}.`);
  }
  return { ...view, draw };
}

/** Total variance as a bar of two parts, and the epistemic part that many samples would give. */
export function variancePanel() {
  const view = panel("variance", "Variance of y at x: total = aleatoric (noise, plain) + epistemic (ignorance, hatched)");
  const [defs, hatched] = hatching();
  function draw({ aleatoric, epistemic, total, limit }) {
    const [width, height] = view.resize(196), left = 92, right = width - 52, bottom = height - 38;
    const wanted = 1.02 * Math.max(0.5, total, limit + aleatoric), power = 10 ** Math.floor(Math.log10(wanted));
    const top = power * [1, 2, 5, 10].find((m) => m * power >= wanted);
    const x = linearScale([0, top], [left, right]), ticks = linearTicks(0, top, 4);
    const box = (kind, from, size, row) => {
      const shape = { x: x(from), y: 10 + 36 * row, width: x(size) - left, height: 24 };
      return [svg("rect", { ...shape, class: `vmtl-${kind}` }), kind === "epistemic" ? svg("rect", { ...shape, fill: hatched }) : null];
    };
    const rows = [["aleatoric", aleatoric, ""], ["epistemic", epistemic, ""], ["total", total, ""], ["epistemic,", limit, "if M = ∞"]];
    view.drawing.replaceChildren(...[defs,
      svg("path", { class: "vmtl-grid", d: ticks.map((t) => `M${x(t)},6V${bottom}`).join("") }),
      box("aleatoric", 0, aleatoric, 0), box("epistemic", aleatoric, epistemic, 1),
      box("aleatoric", 0, aleatoric, 2), box("epistemic", aleatoric, epistemic, 2), box("epistemic", aleatoric, limit, 3),
      rows.map(([name, value, below], i) => [
        text(left - 8, 26 + 36 * i - (below ? 6 : 0), name, { "text-anchor": "end" }),
        below ? text(left - 8, 34 + 36 * i, below, { "text-anchor": "end", class: "vmtl-axis-label" }) : null,
        text(right + 6, 26 + 36 * i, format(value), { class: "vmtl-number", "data-part": name + below })]),
      bottomAxis(x, bottom, { ticks, label: "variance" })].flat(Infinity).filter(Boolean));
    view.describe(`Variance of y: aleatoric ${format(aleatoric)}, epistemic ${format(epistemic)}, total ${format(total)}; ` +
      `epistemic with infinitely many samples ${format(limit)}.`);
  }
  return { ...view, draw };
}

/** Share of the new points inside their intervals, as they are counted. */
export function coveragePanel() {
  const view = panel("coverage", "");
  function draw({ running, inside: hits, expected }) {
    const n = running.length;
    say(view.caption, `Coverage: ${hits} of ${n} new ${n === 1 ? "point" : "points"} inside. Promised 90 % (dashed; grey: ± 2 standard errors), expected ${format(100 * expected, 1)} % (◁)`);
    const [width, height] = view.resize(196), left = 40, right = width - 26, bottom = height - 38;
    const x = linearScale([1, Math.max(10, n)], [left, right]), y = linearScale([0, 1], [bottom, 12]);
    const at = (share) => y(inside(share, [0, 1])), steps = running.map((share, i) => [x(i + 1), at(share)]);
    const chance = Array.from({ length: 40 }, (_, i) => 1 + ((Math.max(10, n) - 1) * i) / 39);
    const edge = (sign) => chance.map((m) => [x(m), at(0.9 + sign * 2 * Math.sqrt(0.09 / m))]);
    view.drawing.replaceChildren(
      leftAxis(y, left, { ticks: [0, 0.25, 0.5, 0.75, 1], gridTo: right, tickFormat: (t) => `${Math.round(100 * t)} %` }),
      svg("path", { class: "vmtl-chance", d: `${line(edge(1))}${line(edge(-1).reverse()).replace("M", "L")}Z` }),
      svg("path", { class: "vmtl-promised", d: `M${left},${y(0.9)}H${right}` }),
      svg("path", { class: "vmtl-running", d: line(steps) }),
      svg("circle", { class: "vmtl-now-head", cx: steps.at(-1)[0], cy: steps.at(-1)[1], r: 4.5 }),
      svg("path", { class: "vmtl-expected", d: `M${right + 4},${at(expected)}l9,-6v12Z` }),
      bottomAxis(x, bottom, { ticks: linearTicks(1, Math.max(10, n), 5), label: "new points counted" }));
    view.describe(`${hits} of ${n} new points lie inside their 90 percent intervals; ${format(100 * expected, 1)} percent expected.`);
  }
  return { ...view, draw };
}
