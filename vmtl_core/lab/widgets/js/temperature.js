// Temperature: what the Gumbel-softmax mixing weights do as tau falls. Python: temperature.py.
import { colourClass, dashOf, format, formatLog, html, marker, say, svg } from "./axes.js";
import { button, select, slider } from "./controls.js";
import { expectedPanel } from "./curves.js";
import { densityPanel, mixtureDensity } from "./density.js";
import { heatMap } from "./heatmap.js";
import { columnMeans, gumbel, meansOverTemperatures, softmax, softmaxRows, uniforms } from "./math.js";
import { drawsPanel } from "./simplex.js";
import { mount } from "./view.js";

const TAU = [0.05, 20];
const POINTS = 35;       // of the curve: from the highest tau down by quarters of an octave, then the lowest tau
const CURVE = [TAU[0], ...Array.from({ length: POINTS }, (_, i) => TAU[1] / 2 ** (i / 4)).reverse()];
const KEPT = ["tau", "task", "logits", "seed", "draws"];
const TRAITS = [...KEPT, "tasks", "base", "means", "sds"];

/** Keeps the last result of `make` until one of its arguments changes (compared as JSON). */
function remember(make) {
  let last, result;
  return (...inputs) => {
    const now = JSON.stringify(inputs);
    if (now !== last) [last, result] = [now, make(...inputs)];
    return result;
  };
}

/** log pi + g of every draw for one receiver: flat (draws, sources). */
export function scoresOf(noise, logits, task, sources, draws) {
  const columns = logits[0].length, flat = new Float64Array(draws * sources.length);
  for (let s = 0, i = 0; s < draws; s++) {
    for (const k of sources) flat[i++] = logits[task][k] + noise[(s * logits.length + task) * columns + k];
  }
  return flat;
}

/** The first draw as a table (T, K): softmax over the row, exactly 0 on the diagonal. */
export function tableOf(noise, logits, tau) {
  const K = logits[0].length;
  return logits.map((row, t) => softmax(row.map((l, k) => (k === t ? -Infinity : l + noise[t * K + k])), tau));
}

function shareOfLargest(samples, n) {
  const counts = new Array(n).fill(0);
  let sum = 0;
  for (let i = 0; i < samples.length; i += n) {
    let best = 0;
    for (let k = 1; k < n; k++) if (samples[i + k] > samples[i + best]) best = k;
    counts[best] += 1;
    sum += samples[i + best];
  }
  const draws = samples.length / n;
  return { largest: counts.map((c) => c / draws), meanLargest: sum / draws };
}

/** Everything the figure shows, from the traits alone. */
function makeComputer() {
  const noiseOf = remember((seed, draws, T, K) => gumbel(uniforms(seed, draws * T * K)));
  const curveOf = remember((seed, draws, logits, task, sources) => {
    const noise = noiseOf(seed, draws, logits.length, logits[0].length);
    const scores = scoresOf(noise, logits, task, sources, draws), n = sources.length;
    const lowest = columnMeans(softmaxRows(scores, n, TAU[0]), n);
    const means = [lowest, ...meansOverTemperatures(scores, n, TAU[1], POINTS).reverse()];
    return { scores, curves: sources.map((_, k) => means.map((m) => m[k])) };
  });
  return (get) => {
    const [tau, task, logits, seed, draws] = KEPT.map(get);
    const T = logits.length, K = logits[0].length;
    const sources = Array.from({ length: K }, (_, k) => k).filter((k) => k !== task);
    const pick = (row) => sources.map((k) => row[k]);
    const weights = tableOf(noiseOf(seed, draws, T, K), logits, tau);
    const { scores, curves } = curveOf(seed, draws, logits, task, sources);
    const samples = softmaxRows(scores, sources.length, tau);
    const means = pick(get("means")), sds = pick(get("sds"));
    const ends = [-3.5, 3.5].map((z) => get("means").map((m, k) => m + z * get("sds")[k]));
    return {
      tau, task, seed, draws, logits, sources, weights, samples, means, sds, taus: CURVE, curves,
      pi: softmax(pick(logits[task])), mean: [...columnMeans(samples, sources.length)],
      ...shareOfLargest(samples, sources.length),
      density: mixtureDensity(pick(weights[task]), means, sds, Math.min(...ends[0]), Math.max(...ends[1])),
    };
  };
}

/** What a test compares with torch; long arrays are thinned. */
const thin = (values, step) => values.filter((_, i) => i % step === 0);
function exposed(now) {
  const { tau, task, seed, draws, logits, sources, weights, pi, mean, largest, meanLargest, density } = now;
  return {
    tau, task, seed, draws, logits, sources, weights, pi, mean, largest, meanLargest,
    samples: [...now.samples.subarray(0, 20 * sources.length)],
    curve: { tau: thin(CURVE, 4), mean: now.curves.map((c) => thin(c, 4)) },
    density: { x: thin(density.x, 12), prior: thin(density.mixture, 12) },
  };
}

const swatch = (k) => svg("svg", { viewBox: "0 0 34 12", width: 34, height: 12, "aria-hidden": "true" },
  svg("path", { d: "M0,6H34", class: `vmtl-curve ${colourClass(k)}`, "stroke-dasharray": dashOf(k) }),
  marker(k, 17, 6, 4));

/** The row of sliders for log pi of the chosen receiver; its own place is marked as excluded. */
function preferences(get, set) {
  const legend = html("legend"), grid = html("div", { class: "vmtl-preferences" });
  const root = html("fieldset", { class: "vmtl-fieldset" }, legend, grid);
  let places = [];
  const change = (k, value) => set("logits", get("logits").map((row, t) =>
    (t === get("task") ? row.map((l, j) => (j === k ? value : l)) : row)));
  const place = (name, k) => {
    const control = slider({
      label: html("span", { class: "vmtl-source" }, swatch(k), name), name: `logit-${k}`,
      min: -4, max: 4, step: 0.1, steps: 80, show: (v) => format(v, 1), onInput: (v) => change(k, v),
    });
    const excluded = html("div", { class: "vmtl-excluded" }, html("span", {}, `${name}: excluded`));
    return { control, excluded, share: html("span", { class: "vmtl-share" }) };
  };
  const build = remember((names) => {
    places = names.map(place);
    grid.replaceChildren(...places.map((p) => {
      p.control.root.append(p.share);
      return html("div", { class: "vmtl-place" }, p.control.root, p.excluded);
    }));
  });
  return {
    root,
    draw(names, { logits, task, sources, pi }) {
      build(names);
      say(legend, `Preferences of ${names[task]} for each source, log π`);
      places.forEach((p, k) => {
        p.control.root.hidden = k === task;
        p.excluded.hidden = k !== task;
        if (k === task) return;
        p.control.set(logits[task][k]);
        say(p.share, `π = ${format(pi[sources.indexOf(k)])}`);
      });
    },
  };
}

function makeControls({ get, set }) {
  const start = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
  const tau = slider({
    label: "Temperature τ", name: "tau", min: TAU[0], max: TAU[1], log: true, steps: 260,
    ticks: [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20], show: formatLog, onInput: (v) => set("tau", v),
  });
  const draws = slider({
    label: "Draws", name: "draws", min: 10, max: 1000, log: true, step: 10, steps: 100,
    show: String, onInput: (v) => set("draws", v),
  });
  const task = select({ label: "Receiver t", name: "task", onChange: (v) => set("task", v) });
  const noise = button({
    label: "New Gumbel noise", name: "noise", title: "Draw again, with the next seed",
    onClick: () => set("seed", (get("seed") + 1) % 2 ** 32),
  });
  const reset = button({
    label: "Start again", name: "reset", title: "Back to the first settings",
    onClick: () => KEPT.forEach((trait) => set(trait, start[trait])),
  });
  const root = html("div", { class: "vmtl-controls" }, tau.root,
    html("div", { class: "vmtl-bar" }, task.root, draws.root, noise.root, reset.root));
  return { root, tau, draws, task };
}

function build({ root, get, set, announce }) {
  const compute = makeComputer();
  const controls = makeControls({ get, set });
  const logits = preferences(get, set);
  const heat = heatMap({ title: "One draw of α: each row is a task’s prior", onRow: (t) => set("task", t) });
  const cloud = drawsPanel(), expected = expectedPanel({ range: TAU, onTau: (v) => set("tau", v) });
  const density = densityPanel();
  const readout = html("p", { class: "vmtl-readout" });
  root.append(controls.root, logits.root,
    html("div", { class: "vmtl-panels" }, heat.root, cloud.root, expected.root, density.root), readout);
  return () => {
    const now = compute(get), tasks = get("tasks");
    const columns = get("base") ? [...tasks, "base"] : tasks;
    const receiver = tasks[now.task], names = now.sources.map((k) => columns[k]);
    controls.tau.set(now.tau);
    controls.draws.set(now.draws);
    controls.task.set(now.task, tasks.map((name, t) => [t, name]));
    logits.draw(columns, now);
    heat.draw(now.weights, tasks, columns, now.task);
    cloud.draw({ ...now, names }, receiver);
    expected.draw({ ...now, names }, receiver);
    density.draw({ ...now, names, weights: now.sources.map((k) => now.weights[now.task][k]) }, receiver);
    say(readout, `At τ = ${formatLog(now.tau)} the largest weight of a draw is ${format(now.meanLargest)} ` +
      `on average over ${now.draws} draws (equal weights: ${format(1 / names.length)}; one source alone: 1).`);
    announce(readout.textContent);
    return exposed(now);
  };
}

export default {
  render({ model, el }) {
    return mount({ model, el, name: "temperature", traits: TRAITS, build });
  },
};
