// KL to a mixture: what the bounds and the weighted sum make of it. Python: kl.py.
import { colourClass, dashOf, format, html, say, svg } from "./axes.js";
import { button, slider } from "./controls.js";
import { barsPanel, rounded } from "./klbars.js";
import { dragPanel } from "./kldrag.js";
import { normals } from "./math.js";
import {
  convex, estimates, exact, jensen, lawOfSum, lowerBound, responsibilities, reweighted, weightedSum,
} from "./mixturekl.js";
import { mount } from "./view.js";

const REPEATS = 40;
const SETTING = ["mean", "sd", "means", "sds", "weights"];
const KEPT = [...SETTING, "samples", "seed"];
const NAMES = ["p₁", "p₂", "p₃"];

/** Everything the figure shows, from the traits alone. The noise is kept until its seed changes. */
function makeComputer() {
  let drawn = "", noise;
  return (get) => {
    const now = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
    const asked = `${now.seed} ${now.samples}`;
    if (asked !== drawn) [drawn, noise] = [asked, normals(now.seed, now.samples * REPEATS)];
    const { weights, means, sds } = now, mixture = { weights, means, sds };
    const sampled = estimates(noise, REPEATS, now, mixture);
    const centre = sampled.reduce((a, b) => a + b, 0) / REPEATS;
    const spread = Math.sqrt(sampled.reduce((sum, e) => sum + (e - centre) ** 2, 0) / (REPEATS - 1));
    return {
      ...now, mixture, law: lawOfSum(mixture), sampled, centre, spread, phi: responsibilities(now, mixture),
      kl: {
        lower_bound: lowerBound(now, mixture), exact: exact(now, mixture), jensen: jensen(now, mixture),
        convex: convex(now, mixture), weighted_sum: weightedSum(now, mixture),
      },
    };
  };
}

const swatch = (attributes) => svg("svg", { viewBox: "0 0 34 12", width: 34, height: 12, "aria-hidden": "true" },
  svg("path", { d: "M0,6H34", ...attributes }));
const sourceSwatch = (k) => swatch({ class: `vmtl-curve ${colourClass(k)}`, "stroke-dasharray": dashOf(k) });

function legend() {
  const entry = (picture, words) => html("span", { class: "vmtl-source" }, picture, words);
  return html("div", { class: "vmtl-legend" },
    entry(swatch({ class: "vmtl-q" }), "q"),
    entry(swatch({ class: "vmtl-mixture-key" }), "mixture Σ aₖpₖ"),
    NAMES.map((name, k) => entry(sourceSwatch(k), `a${name[1]}${name}`)),
    entry(swatch({ class: "vmtl-law" }), "law of the weighted sum"));
}

function weightSliders(get, set) {
  const places = NAMES.map((name, k) => {
    const control = slider({
      label: html("span", { class: "vmtl-source" }, sourceSwatch(k), `weight a${name[1]} of ${name}`),
      name: `weight-${k}`, min: 0, max: 1, step: 0.01, steps: 100, show: (v) => format(v),
      onInput: (v) => set("weights", reweighted(get("weights"), k, v)),
    });
    const phi = html("span", { class: "vmtl-share" });
    control.root.append(phi);
    return { control, phi };
  });
  const root = html("fieldset", { class: "vmtl-fieldset" },
    html("legend", {}, "Weights of the sources; one moves the others, they sum to 1"),
    html("div", { class: "vmtl-weights" }, places.map((p) => p.control.root)));
  return {
    root,
    draw({ weights, phi }) {
      places.forEach((place, k) => {
        place.control.set(weights[k]);
        say(place.phi, `responsibility φ${NAMES[k][1]} = ${format(phi[k])}`);
      });
    },
  };
}

function presetButtons(get, set) {
  const made = get("presets").map((preset, i) => button({
    label: preset.name, name: `preset-${i}`, title: "Show this setting",
    onClick: () => SETTING.forEach((trait) => set(trait, preset[trait])),
  }));
  return {
    root: html("div", { class: "vmtl-bar", role: "group", "aria-label": "Settings to compare" }, made.map((b) => b.root)),
    draw(now) {
      get("presets").forEach((preset, i) => made[i].root.setAttribute("aria-pressed",
        SETTING.every((trait) => JSON.stringify(preset[trait]) === JSON.stringify(now[trait]))));
    },
  };
}

function sampling(get, set) {
  const start = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
  const samples = slider({
    label: "Samples S of one estimate", name: "samples", min: 1, max: 300, log: true, step: 1, steps: 80,
    ticks: [1, 3, 10, 30, 100, 300], show: String, onInput: (v) => set("samples", v),
  });
  const again = button({
    label: "New samples", name: "noise", title: "Sample again, with the next seed",
    onClick: () => set("seed", (get("seed") + 1) % 2 ** 32),
  });
  const reset = button({
    label: "Start again", name: "reset", title: "Back to the first setting",
    onClick: () => KEPT.forEach((trait) => set(trait, start[trait])),
  });
  return { root: html("div", { class: "vmtl-bar" }, samples.root, again.root, reset.root), samples };
}

/** Above or below the exact value, in words. */
function gap(value, truth) {
  const difference = value - truth;
  if (Math.abs(difference) < 5e-4) return "equal to it";
  return `${rounded(Math.abs(difference))} ${difference > 0 ? "above" : "below"}`;
}

function sentence({ kl, centre, spread, samples }) {
  return `Exact ${rounded(kl.exact)} nats. Jensen is ${gap(kl.jensen, kl.exact)}, convex ${gap(kl.convex, kl.exact)}, ` +
    `the lower bound ${gap(kl.lower_bound, kl.exact)}; the weighted sum, no bound, is ${gap(kl.weighted_sum, kl.exact)}. ` +
    `${REPEATS} estimates from ${samples} ${samples === 1 ? "sample" : "samples"} each: mean ${rounded(centre)}, sd ${rounded(spread)}.`;
}

/** What a test compares with torch. */
function exposed(now, density) {
  const thin = (values) => values.filter((_, i) => i % 12 === 0);
  const { kl, sampled, centre, spread, phi, law } = now;
  return {
    ...Object.fromEntries(KEPT.map((trait) => [trait, now[trait]])), kl, estimates: [...sampled], centre, spread,
    phi, law, density: { x: thin(density.x), mixture: thin(density.mixture) },
  };
}

function build({ root, get, set, announce }) {
  const compute = makeComputer();
  const presets = presetButtons(get, set), weights = weightSliders(get, set), sampler = sampling(get, set);
  const densities = dragPanel({ names: NAMES, get, set }), bars = barsPanel();
  densities.root.append(legend());
  const readout = html("p", { class: "vmtl-readout" });
  root.append(html("div", { class: "vmtl-controls" }, presets.root),
    html("div", { class: "vmtl-panels" }, densities.root, html("div", {}, bars.root, readout)),
    html("div", { class: "vmtl-controls" }, weights.root, sampler.root));
  return () => {
    const now = compute(get);
    presets.draw(now);
    weights.draw(now);
    sampler.samples.set(now.samples);
    const density = densities.draw(now);
    bars.draw(now);
    say(readout, sentence(now));
    announce(readout.textContent);
    return exposed(now, density);
  };
}

export default {
  render({ model, el }) {
    return mount({ model, el, name: "kl", traits: [...KEPT, "presets"], build });
  },
};
