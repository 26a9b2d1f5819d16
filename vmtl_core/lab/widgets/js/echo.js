// The echo chamber: two tasks that are each other's prior, against the exact answer. Python: echo.py.
import {
  bottomAxis, colourClass, dashOf, format, html, line, linearScale, linearTicks, marker, panel, say, svg, text,
} from "./axes.js";
import { button, slider } from "./controls.js";
import { echoPair, exactPair, jointPair } from "./echomath.js";
import { normalPdf } from "./math.js";
import { mount } from "./view.js";

const KEPT = ["difference", "count", "noise", "sources", "rounds", "width"];
const SOURCES = ["own", "previous", "joint"];
const REACH = 4, POINTS = 321, CURVE = 121;
/** Below this standard deviation a density is drawn as a spike. */
const SPIKE = 0.01;

/** Everything the figure shows, from the traits alone. */
function compute(get) {
  const now = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
  const square = now.noise ** 2 / now.count, spread = now.width ** 2, se = Math.sqrt(square);
  const pair = (difference) => echoPair(now.sources, difference, square, spread, now.rounds);
  const found = pair(now.difference), exact = exactPair(now.difference, square, spread);
  const x = Array.from({ length: CURVE }, (_, i) => (REACH * i) / (CURVE - 1));
  return {
    ...now, se, threshold: 4 * se, found, exact, collapsed: found.variance === 0,
    curve: { x, gap: x.map((d) => pair(d).gap), exact: x.map((d) => exactPair(d, square, spread).gap) },
    ratio: found.variance / exact.variance, lasso: jointPair(now.difference, square, 0),
  };
}

function density(mean, variance) {
  const sd = Math.sqrt(variance);
  return (w) => normalPdf(w, mean, sd);
}

/** Posteriors of both tasks: what the sources make of them, and the exact ones. */
function densityPanel() {
  const view = panel("echo", "Posteriors of both tasks (solid, filled) and the exact answer (dashed)");
  return {
    ...view,
    draw({ difference, found, exact, collapsed, sources, ratio }) {
      const [width, height] = view.resize(250), bottom = height - 38;
      const x = linearScale([-3, 3], [10, width - 10]);
      const top = 1.25 * normalPdf(0, 0, Math.sqrt(exact.variance));
      const y = linearScale([0, top], [bottom, 24]);
      const grid = Array.from({ length: POINTS }, (_, i) => -3 + (6 * i) / (POINTS - 1));
      const outline = (mean, variance) => {
        const p = density(mean, variance);
        return line(grid.map((w) => [x(w), Math.max(y(p(w)), 16)]));
      };
      const shapes = [1, -1].flatMap((sign, t) => {
        const mean = (sign * found.gap) / 2, narrow = Math.sqrt(found.variance) < SPIKE;
        const own = narrow
          ? svg("path", { class: `vmtl-spike ${colourClass(t)}`, d: `M${x(mean)},${bottom}V16` })
          : svg("path", { class: `vmtl-found ${colourClass(t)}`, d: `${outline(mean, found.variance)}V${bottom}H${x(-3)}Z` });
        return [own,
          svg("path", { class: `vmtl-exact ${colourClass(t)}`, "stroke-dasharray": dashOf(t), d: outline((sign * exact.gap) / 2, exact.variance) }),
          marker(t, x((sign * difference) / 2), bottom - 6)];
      });
      const words = collapsed ? "collapsed: both at one point, sd 0" : "";
      view.drawing.replaceChildren(...shapes,
        text(width / 2, 12, words, { "text-anchor": "middle", class: "vmtl-alarm" }),
        bottomAxis(x, bottom, { ticks: linearTicks(-3, 3, 6), tickFormat: (t) => String(t).replace("-", "−"), label: "w (marks: sample means)" }));
      view.describe(`Posteriors with sources ${sources}: means ${format(found.gap / 2)} and ${format(-found.gap / 2)}, ` +
        `sd ${format(Math.sqrt(found.variance), 3)}; exact means ${format(exact.gap / 2)} and ${format(-exact.gap / 2)}, ` +
        `sd ${format(Math.sqrt(exact.variance), 3)}. Variance ${format(ratio)} of the exact one.`);
    },
  };
}

/** Distance of the posterior means against that of the sample means, with the fused-lasso threshold. */
function gapPanel() {
  const view = panel("gap", "Distance of the posterior means against Δ; triangle on the axis: 4σ/√N");
  return {
    ...view,
    draw({ difference, curve, found, exact, threshold }) {
      const [width, height] = view.resize(250), bottom = height - 38;
      const x = linearScale([0, REACH], [38, width - 14]), y = linearScale([0, REACH], [bottom, 14]);
      const path = (values) => line(values.map((v, i) => [x(curve.x[i]), y(Math.abs(v))]));
      const at = Math.abs(difference), shown = threshold <= REACH;
      view.drawing.replaceChildren(
        svg("path", { class: "vmtl-grid", d: [1, 2, 3, 4].map((t) => `M38,${y(t)}H${width - 14}`).join("") }),
        ...[0, 1, 2, 3, 4].map((t) => text(30, y(t) + 4, String(t), { "text-anchor": "end", class: "vmtl-axis-label" })),
        svg("path", { class: "vmtl-exact vmtl-c6", "stroke-dasharray": "7 3", d: path(curve.exact) }),
        svg("path", { class: "vmtl-gap", d: path(curve.gap) }),
        svg("path", { class: "vmtl-here", d: `M${x(at)},${bottom}V14` }),
        shown ? svg("path", { class: "vmtl-threshold", d: `M${x(threshold)},${bottom}l-7,-13h14Z` }) : "",
        marker(3, x(at), y(Math.abs(found.gap)), 4.5),
        bottomAxis(x, bottom, { ticks: [0, 1, 2, 3, 4], label: "Δ, distance of the sample means" }));
      view.describe(`Distance of the posterior means ${format(Math.abs(found.gap))} at Δ ${format(at)}, exact ${format(Math.abs(exact.gap))}. ` +
        `The fused-lasso threshold is at ${format(threshold)}.`);
    },
  };
}

function sourceButtons(get, set) {
  const made = SOURCES.map((name) => button({
    label: name, name: `sources-${name}`, title: `sources="${name}"`, onClick: () => set("sources", name),
  }));
  return {
    root: html("div", { class: "vmtl-bar", role: "group", "aria-label": "sources" }, html("span", {}, "sources"), made.map((b) => b.root)),
    draw(now) { SOURCES.forEach((name, i) => made[i].root.setAttribute("aria-pressed", now === name)); },
  };
}

function sliders(get, set) {
  const make = (trait, label, options) => [trait, slider({ label, name: trait, onInput: (v) => set(trait, v), show: (v) => format(v), ...options })];
  const all = Object.fromEntries([
    make("difference", "Δ, difference of the sample means", { min: 0, max: REACH, step: 0.05, steps: 80, ticks: [0, 1, 2, 3, 4] }),
    make("count", "N, readings of each task", { min: 1, max: 100, log: true, step: 1, steps: 80, ticks: [1, 10, 100], show: String }),
    make("noise", "σ, noise of a reading", { min: 0.1, max: 3, step: 0.1, steps: 29, ticks: [0.1, 1, 2, 3] }),
    make("width", "δ, transfer width", { min: 0, max: 2, step: 0.05, steps: 40, ticks: [0, 1, 2] }),
    make("rounds", "rounds (for previous)", { min: 1, max: 50, log: true, step: 1, steps: 60, ticks: [1, 2, 5, 10, 50], show: String }),
  ]);
  const mark = html("span", { class: "vmtl-threshold-mark", "aria-hidden": "true" }, "▲");
  all.difference.root.querySelector(".vmtl-ticks").append(mark);
  return {
    root: html("div", { class: "vmtl-sliders" }, Object.values(all).map((s) => s.root)),
    draw(now) {
      for (const [trait, one] of Object.entries(all)) one.set(now[trait]);
      mark.hidden = now.threshold > REACH;
      mark.style.setProperty("--at", Math.min(now.threshold / REACH, 1));
      all.rounds.input.disabled = now.sources !== "previous";
    },
  };
}

function sentence({ sources, found, exact, threshold, collapsed, ratio, rounds, difference, width }) {
  const sd = (pair) => format(Math.sqrt(pair.variance), 3);
  const which = sources === "previous" ? `previous, round ${rounds}` : sources;
  const end = collapsed ? "Collapsed: Δ is below the threshold, and both claim to know w perfectly."
    : `It claims ${format(ratio)} of the exact variance.`;
  const law = width > 0 ? "with a width nothing fuses to a point" : difference < threshold ? "Δ is below it" : "Δ is above it";
  return `${which}: sd ${sd(found)}, exact ${sd(exact)}. ${end} Threshold 4σ/√N of joint = ${format(threshold)}: ${law}.`;
}

function build({ root, get, set, announce }) {
  const start = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
  const choice = sourceButtons(get, set), control = sliders(get, set), densities = densityPanel(), gaps = gapPanel();
  const reset = button({ label: "Start again", name: "reset", title: "Back to the first setting",
    onClick: () => KEPT.forEach((trait) => set(trait, start[trait])) });
  const readout = html("p", { class: "vmtl-readout" });
  root.append(html("div", { class: "vmtl-bar" }, choice.root, reset.root), control.root,
    html("div", { class: "vmtl-panels" }, densities.root, gaps.root), readout);
  return () => {
    const now = compute(get);
    choice.draw(now.sources);
    control.draw(now);
    densities.draw(now);
    gaps.draw(now);
    say(readout, sentence(now));
    announce(readout.textContent);
    return now;
  };
}

export default {
  render({ model, el }) {
    return mount({ model, el, name: "echo", traits: KEPT, build });
  },
};
