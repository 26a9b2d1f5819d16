// Training replay: a recorded fit, step by step. Python: replay.py.
import { colourClass, dashOf, format, html, marker, say, svg } from "./axes.js";
import { button, select, slider } from "./controls.js";
import { around, ellipse, posteriorsPanel, priorPanel } from "./ellipses.js";
import { heatMap } from "./heatmap.js";
import { klDiagonalGaussian, logNormalDiagonal, logSumExp } from "./math.js";
import { TERMS, termsPanel } from "./terms.js";
import { mount } from "./view.js";

const KEPT = ["run", "position", "task"];
const TRAITS = [...KEPT, "tasks", "inputs", "steps", "runs", "truth", "axes", "others"];
const PLAY_MS = 180;
const LESS_MOTION = "(prefers-reduced-motion: reduce)";

/** A flat row as rows of `width` numbers. */
const rows = (flat, width) =>
  Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width));

/** What is recorded of the sources that are not shown: their logs for each task, and their normal. */
function restOf(run, i, T, D) {
  const row = run.rest?.[i];
  return row && {
    scores: row.slice(0, T), logPrior: row.slice(T, 2 * T), mean: row.slice(2 * T, 2 * T + D), sd: row.slice(2 * T + D),
  };
}

/** The components of the priors, sources widened, others and base prior last: { mean, sd }, (K, D) each. */
export function componentsOf(run, i, D) {
  const sd = rows((run.source_sd ?? run.sd)[i], D), width = run.width?.[i];
  const mean = rows((run.source_mean ?? run.mean)[i], D);
  const wide = width ? sd.map((row) => row.map((s, d) => Math.hypot(s, width[d]))) : sd;
  const rest = restOf(run, i, mean.length, D), base = run.base_mean && { mean: run.base_mean[i], sd: run.base_sd[i] };
  const more = [rest, base].filter(Boolean);
  return { mean: [...mean, ...more.map((m) => m.mean)], sd: [...wide, ...more.map((m) => m.sd)] };
}

/** Everything about run `run` at the recorded step i, from the recorded parameters. */
export function momentOf(run, i, D) {
  const mean = rows(run.mean[i], D), sd = rows(run.sd[i], D), T = mean.length;
  const alpha = rows(run.alpha[i], run.alpha[i].length / T);
  const components = componentsOf(run, i, D), rest = restOf(run, i, T, D);
  const isRest = (k) => rest && k === T;
  const scores = alpha.map((row, t) => row.map((a, k) => (isRest(k) ? rest.scores[t] : Math.log(a) -
    (a > 0 ? klDiagonalGaussian(mean[t], sd[t], components.mean[k], components.sd[k]) : 0))));
  const norms = scores.map(logSumExp);
  return {
    mean, sd, alpha, components, kl: norms.map((n) => -n),
    phi: scores.map((row, t) => row.map((s) => Math.exp(s - norms[t]))),
    logPrior: alpha.map((row, t) => logSumExp(row.map((a, k) => (isRest(k) ? rest.logPrior[t] : Math.log(a) +
      logNormalDiagonal(mean[t], components.mean[k], components.sd[k]))))),
  };
}

/** Axes that hold still: around every posterior of every run; the terms' middle 98%. */
function limitsOf(runs, D, pair, truth) {
  const shapes = runs.flatMap((run) => run.mean.flatMap((flat, i) => {
    const sd = rows(run.sd[i], D);
    return rows(flat, D).map((mean, t) => ellipse(mean, sd[t], pair));
  }));
  const points = (truth ?? []).map((w) => [w[pair[0]], w[pair[1]], 0.3, 0.3]);
  const values = runs.flatMap((run) => TERMS.flatMap(([name]) => run.terms[name])).sort((a, b) => a - b);
  const low = values[Math.floor(values.length * 0.01)], high = values[Math.floor(values.length * 0.99)];
  return { box: around([...shapes, ...points]), range: [Math.min(0, low), Math.max(0.1, high) + 0.05 * (high - low)] };
}

/** Plays the recorded steps; where less motion is asked for, one press is one step. */
function player({ root, get, set }) {
  const calm = window.matchMedia(LESS_MOTION);
  let timer = 0;
  const last = () => get("steps").length - 1;
  const stop = () => { clearInterval(timer); timer = 0; say(); };
  const forward = () => {
    if (!root.isConnected || get("position") >= last()) { stop(); return; }
    set("position", get("position") + 1);
    if (get("position") >= last()) stop();
  };
  const control = button({
    label: "Play", name: "play", title: "Go through the recorded steps",
    onClick() {
      if (timer) { stop(); return; }
      if (get("position") >= last()) set("position", 0);
      else if (calm.matches) forward();
      if (calm.matches) return;
      timer = setInterval(forward, PLAY_MS);
      say();
    },
  });
  function say() {
    control.root.textContent = timer ? "Pause" : calm.matches ? "Next step" : "Play";
  }
  calm.addEventListener("change", () => (calm.matches ? stop() : say()));
  say();
  return { root: control.root, stop, playing: () => timer !== 0 };
}

function makeControls({ root, get, set }) {
  const start = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
  const steps = get("steps");
  const names = (key) => [...new Set(get("runs").map((run) => run[key]))];
  const play = player({ root, get, set });
  const shown = () => get("runs")[get("run")];
  const choose = (schedule, sources) => {
    const all = get("runs"), exact = all.findIndex((r) => r.schedule === schedule && r.sources === sources);
    set("run", exact >= 0 ? exact : all.findIndex((r) => r.schedule === schedule));
  };
  const offered = () => get("runs").filter((r) => r.schedule === shown().schedule).map((r) => r.sources);
  const position = slider({
    label: "Step of the fit", name: "position", min: 0, max: steps.length - 1, step: 1, steps: steps.length - 1,
    show: (i) => `${steps[i]} of ${steps.at(-1)}`, onInput: (i) => { play.stop(); set("position", i); },
  });
  const schedule = select({ label: "Temperature τ", name: "schedule", onChange: (i) => choose(names("schedule")[i], shown().sources) });
  const sources = select({ label: "Sources", name: "sources", onChange: (i) => choose(shown().schedule, offered()[i]) });
  const task = select({ label: "Receiver t", name: "task", onChange: (t) => set("task", t) });
  const reset = button({
    label: "Start again", name: "reset", title: "Back to the first setting",
    onClick() { play.stop(); KEPT.forEach((trait) => set(trait, start[trait])); },
  });
  return {
    root: html("div", { class: "vmtl-controls" },
      html("div", { class: "vmtl-bar" }, schedule.root, sources.root, task.root),
      html("div", { class: "vmtl-bar" }, play.root, position.root, reset.root)),
    playing: play.playing,
    draw() {
      const options = (list) => list.map((name, i) => [i, name]);
      schedule.set(names("schedule").indexOf(shown().schedule), options(names("schedule")));
      sources.set(offered().indexOf(shown().sources), options(offered()));
      task.set(get("task"), options(get("tasks")));
      position.set(get("position"));
    },
  };
}

function legend(names) {
  return names.map((name, k) => html("span", { class: "vmtl-source" },
    svg("svg", { viewBox: "0 0 34 12", width: 34, height: 12, "aria-hidden": "true" },
      svg("path", { d: "M0,6H34", class: `vmtl-curve ${colourClass(k)}`, "stroke-dasharray": dashOf(k) }),
      marker(k, 17, 6, 4)), name));
}

const geometricMean = (values) => Math.exp(values.reduce((sum, v) => sum + Math.log(v), 0) / values.length);

function sentence({ step, run, columns, task, moment, terms }) {
  const phi = moment.phi[task], best = phi.indexOf(Math.max(...phi));
  const [explain, weigh] = / others$/.test(columns[best]) ? ["explain", "weigh"] : ["explains", "weighs"];
  return `Step ${step}, τ = ${format(terms.temperature)}, sources “${run.sources}”: ${columns[best]} ${explain} ${columns[task]} best, ` +
    `φ = ${format(phi[best])}, and ${weigh} α = ${format(moment.alpha[task][best])} in its prior. ` +
    `The posterior sd of ${columns[task]} is ${format(geometricMean(moment.sd[task]))} (geometric mean of its coordinates).`;
}

function heatMaps({ set }) {
  const made = [["alpha", "α, mixing weights: belief before the task is seen"], ["phi", "φ, responsibilities: who explains whom"]]
    .map(([name, title]) => ({ name, title, view: heatMap({ title, onRow: (t) => set("task", t) }) }));
  return {
    roots: made.map(({ view }) => view.root),
    draw(moment, tasks, columns, task) {
      for (const { name, title, view } of made) {
        view.draw(moment[name], tasks, columns, task);
        view.describe(`${title}. Row of ${tasks[task]}: ${moment[name][task].map((w, k) =>
          `${columns[k]} ${k === task ? "excluded" : format(w)}`).join(", ")}.`);
      }
    },
  };
}

function build({ root, get, set, announce }) {
  const controls = makeControls({ root, get, set });
  const heat = heatMaps({ set }), posteriors = posteriorsPanel(), prior = priorPanel();
  const terms = termsPanel({ onPosition: (i) => set("position", i) });
  const key = html("div", { class: "vmtl-legend" }), readout = html("p", { class: "vmtl-readout" });
  root.append(controls.root, key,
    html("div", { class: "vmtl-panels" }, posteriors.root, prior.root, heat.roots, terms.root), readout);
  let kept = [], limits, keyed = "";
  return () => {
    const [runs, tasks, inputs, steps, pair, truth, others] =
      ["runs", "tasks", "inputs", "steps", "axes", "truth", "others"].map(get);
    const run = runs[get("run")] ?? runs[0], position = get("position"), task = get("task"), D = inputs.length;
    if (kept[0] !== runs || kept[1] !== pair) [limits, kept] = [limitsOf(runs, D, pair, truth), [runs, pair]];
    const columns = [...tasks, ...(others ? [`${others} others`] : []), ...(run.base_mean ? ["base"] : [])];
    if (keyed !== columns.join()) { key.replaceChildren(...legend(columns)); keyed = columns.join(); }
    const moment = momentOf(run, position, D), labels = pair.map((d) => inputs[d]);
    const ellipses = moment.mean.map((m, t) => ellipse(m, moment.sd[t], pair));
    const components = moment.components.mean.map((m, k) => ellipse(m, moment.components.sd[k], pair));
    const trails = tasks.map((_, t) => run.mean.slice(0, position + 1).map((flat) => pair.map((d) => flat[t * D + d])));
    const now = Object.fromEntries(Object.entries(run.terms).map(([name, row]) => [name, row[position]]));
    controls.draw();
    posteriors.draw({
      ellipses, trails, truth: truth && truth.map((w) => pair.map((d) => w[d])), names: tasks, labels, box: limits.box,
    });
    prior.draw({ components, alpha: moment.alpha[task], own: ellipses[task], task, names: columns, labels, box: limits.box }, tasks[task]);
    heat.draw(moment, tasks, columns, task);
    terms.draw({ steps, terms: run.terms, position, range: limits.range });
    say(readout, sentence({ step: steps[position], run, columns, task, moment, terms: now }));
    if (!controls.playing()) announce(readout.textContent);
    const { alpha, phi, kl, logPrior } = moment;
    return {
      run: get("run"), schedule: run.schedule, sources: run.sources, position, step: steps[position], task,
      playing: controls.playing(), alpha, phi, kl, logPrior, ellipses, components, terms: now, box: limits.box,
    };
  };
}

export default {
  render({ model, el }) {
    return mount({ model, el, name: "replay", traits: TRAITS, build });
  },
};
