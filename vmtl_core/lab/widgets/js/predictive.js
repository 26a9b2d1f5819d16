// Prediction: lines drawn from a posterior build the predictive mixture. Python: predictive.py.
import { format, html, say } from "./axes.js";
import { button, slider } from "./controls.js";
import {
  chanceInside, dataOf, decompose, interval90, linesOf, meansAt, MOST, newPoints, posteriorOf, varianceAt,
} from "./linemodel.js";
import { normalPdf } from "./math.js";
import { coveragePanel, linesPanel, mixturePanel, variancePanel } from "./predictivepanels.js";
import { mount } from "./view.js";

const KEPT = ["points", "width", "noise", "samples", "x", "new_points", "seed"];
const Y = [-4, 5.5], GRID = Array.from({ length: 191 }, (_, i) => Y[0] + ((Y[1] - Y[0]) * i) / 190);

/** Intervals of the new points, and whether each point lies inside. Kept until what they rest on changes. */
function makeIntervals() {
  let asked = "", known = [];
  return (key, count, make) => {
    if (key !== asked) [asked, known] = [key, []];
    while (known.length < count) known.push(make(known.length));
    return known.slice(0, count);
  };
}

/** Everything the figure shows, from the traits alone. */
function makeComputer() {
  const intervals = makeIntervals();
  return (get) => {
    const now = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
    const { points, width, noise, samples, x, seed } = now;
    const data = dataOf(points, noise), posterior = posteriorOf(data, noise);
    const lines = linesOf(posterior, width, samples, seed), means = meansAt(lines, x);
    const fresh = newPoints(posterior, noise, now.new_points, seed);
    const checked = intervals(JSON.stringify([points, width, noise, samples, seed]), fresh.length, (i) => {
      const [at, y] = fresh[i], ends = interval90(meansAt(lines, at), noise);
      return { x: at, y, ends, inside: ends[0] <= y && y <= ends[1], chance: chanceInside(posterior, noise, at, ends) };
    });
    let inside = 0;
    const running = checked.map((c, i) => (inside += c.inside) / (i + 1));
    return {
      ...now, data, lines, means, checked, running, inside, interval: interval90(means, noise),
      ...decompose(means, noise), limit: width ** 2 * varianceAt(posterior, x),
      expected: checked.reduce((sum, c) => sum + c.chance, 0) / checked.length,
      density: { y: GRID, mixture: GRID.map((y) => means.reduce((sum, m) => sum + normalPdf(y, m, noise), 0) / samples) },
    };
  };
}

/** What a test compares with torch. */
function exposed(now) {
  const thin = (values) => values.filter((_, i) => i % 10 === 0);
  const names = [...KEPT, "data", "lines", "interval", "mean", "aleatoric", "epistemic", "total", "limit", "inside", "running", "expected"];
  return {
    ...Object.fromEntries(names.map((name) => [name, now[name]])), checked: now.checked.map(({ x, y, ends }) => [x, y, ...ends]),
    density: { y: thin(now.density.y), mixture: thin(now.density.mixture) },
  };
}

const howWide = (width) => (width < 0.95 ? "overconfident" : width > 1.05 ? "too wide" : "calibrated");

function makeControls({ get, set }) {
  const start = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
  const one = (label, name, min, max, options) => slider({ label, name, min, max, onInput: (v) => set(name, v), ...options });
  const sliders = {
    width: one("Posterior width", "width", 0.1, 4, {
      log: true, steps: 160, ticks: [0.1, 0.3, 1, 3], show: (v) => `${format(v)} × (${howWide(v)})`,
    }),
    noise: one("Noise σ", "noise", 0.2, 1, { step: 0.05, steps: 16, ticks: [0.2, 0.5, 1], show: (v) => format(v) }),
    points: one("Data points N", "points", 2, MOST.points, { step: 1, steps: MOST.points - 2, ticks: [2, 10, 20, 40] }),
    x: one("Position x", "x", -3, 3, { step: 0.1, steps: 60, ticks: [-3, 0, 3], show: (v) => format(v) }),
    samples: one("Samples M of the posterior", "samples", 1, MOST.samples, { step: 1, steps: MOST.samples - 1, ticks: [1, 50, 100] }),
    new_points: one("New points", "new_points", 1, MOST.fresh, { step: 1, steps: MOST.fresh - 1, ticks: [1, 50, 100] }),
  };
  const more = (label, trait, most) => button({
    label, name: `more-${trait}`, title: "Keeps those that are there", onClick: () => set(trait, Math.min(most, get(trait) + 1)),
  });
  const buttons = [
    more("One more sample", "samples", MOST.samples), more("One more new point", "new_points", MOST.fresh),
    button({ label: "Draw all again", name: "again", title: "With the next seed", onClick: () => set("seed", (get("seed") + 1) % 2 ** 32) }),
    button({ label: "Start again", name: "reset", title: "Back to the first settings", onClick: () => KEPT.forEach((t) => set(t, start[t])) }),
  ];
  const root = html("div", { class: "vmtl-controls" },
    html("div", { class: "vmtl-sliders" }, Object.values(sliders).map((s) => s.root)),
    html("div", { class: "vmtl-bar" }, buttons.map((b) => b.root)));
  return { root, draw: (now) => Object.entries(sliders).forEach(([name, s]) => s.set(now[name])) };
}

function sentence({ x, samples, aleatoric, epistemic, inside, new_points, expected, width }) {
  return `At x = ${format(x)}, ${samples} ${samples === 1 ? "sample" : "samples"}: noise variance ${format(aleatoric)}, epistemic ` +
    `variance ${format(epistemic)}. Inside their 90 % intervals: ${inside} of ${new_points} new points ` +
    `(${format((100 * inside) / new_points, 0)} %; expected ${format(100 * expected, 1)} %). The posterior is ${howWide(width)}.`;
}

function build({ root, get, set, announce }) {
  const compute = makeComputer(), controls = makeControls({ get, set });
  const panels = [linesPanel({ Y, onX: (v) => set("x", v) }), mixturePanel({ Y }), variancePanel(), coveragePanel()];
  const readout = html("p", { class: "vmtl-readout" });
  root.append(controls.root, html("div", { class: "vmtl-panels" }, panels.map((p) => p.root)), readout);
  return () => {
    const now = compute(get);
    controls.draw(now);
    for (const panel of panels) panel.draw(now);
    say(readout, sentence(now));
    announce(readout.textContent);
    return exposed(now);
  };
}

export default {
  render({ model, el }) {
    return mount({ model, el, name: "predictive", traits: KEPT, build });
  },
};
