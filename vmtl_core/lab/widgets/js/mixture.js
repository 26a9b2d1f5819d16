// A receiver under the mixture prior: exact posterior, the single Gaussian q, and what is lost. Python: mixture.py.
import { dashOf, format, html, say, svg } from "./axes.js";
import { button, slider } from "./controls.js";
import { bestGaussian, exactPosterior, priorOf } from "./mixturemath.js";
import { densitiesPanel, lossPanel, partClass, sharesPanel } from "./mixturepanels.js";
import { mount } from "./view.js";

const KEPT = ["centre", "rows", "width", "base"];
const DATA = ["means", "sds"];
const NAMES = ["p₁", "p₂", "p₃", "base"];

/** Everything the figure shows, from the traits alone. */
function compute(get) {
  const now = Object.fromEntries([...KEPT, ...DATA].map((trait) => [trait, get(trait)]));
  const prior = priorOf(now), posterior = exactPosterior(prior, now.centre, now.rows);
  const best = (method) => bestGaussian(method, prior, posterior, now.centre, now.rows);
  const mean = posterior.weights.reduce((sum, p, k) => sum + p * posterior.means[k], 0);
  const second = posterior.weights.reduce((sum, p, k) => sum + p * (posterior.sds[k] ** 2 + posterior.means[k] ** 2), 0);
  return { ...now, prior, posterior, moments: { mean, sd: Math.sqrt(second - mean * mean) }, jensen: best("jensen"), convex: best("convex") };
}

const swatch = (attributes, words) => html("span", { class: "vmtl-source" },
  svg("svg", { viewBox: "0 0 34 12", width: 34, height: 12, "aria-hidden": "true" }, svg("path", { d: "M1,6H33", ...attributes })), words);
const legend = () => html("div", { class: "vmtl-legend" },
  swatch({ class: "vmtl-before-key" }, "prior"), NAMES.map((name, k) => swatch({ class: `vmtl-part ${partClass(k, NAMES.length)}`, "stroke-dasharray": dashOf(k) }, k < 3 ? `source ${name}` : "base p₀")),
  swatch({ class: "vmtl-seen" }, "likelihood"), swatch({ class: "vmtl-after-key" }, "exact posterior"),
  swatch({ class: "vmtl-q" }, "q, jensen"), swatch({ class: "vmtl-q-convex" }, "q, convex"));

function presetButtons(get, set) {
  const presets = get("presets"), start = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
  const made = presets.map((preset, i) => button({
    label: preset.name, name: `preset-${i}`, title: "Show this setting", onClick: () => KEPT.forEach((trait) => set(trait, preset[trait])),
  }));
  const reset = button({ label: "Start again", name: "reset", title: "Back to the first setting", onClick: () => KEPT.forEach((trait) => set(trait, start[trait])) });
  return {
    root: html("div", { class: "vmtl-bar" },
      html("div", { class: "vmtl-bar", role: "group", "aria-label": "Settings to compare" }, made.map((b) => b.root)), reset.root),
    draw(now) { presets.forEach((preset, i) => made[i].root.setAttribute("aria-pressed", KEPT.every((trait) => preset[trait] === now[trait]))); },
  };
}

function sliders(get, set) {
  const make = (trait, label, options) => [trait, slider({ label, name: trait, onInput: (v) => set(trait, v), show: (v) => format(v), ...options })];
  const all = Object.fromEntries([
    make("rows", "N, rows of the receiver", { min: 1, max: 50, log: true, step: 1, steps: 60, ticks: [1, 2, 5, 10, 50], show: String }),
    make("width", "δ, transfer width", { min: 0, max: 1.5, step: 0.05, steps: 30, ticks: [0, 0.5, 1, 1.5] }),
    make("base", "α₀, weight of the base prior", { min: 0, max: 1, step: 0.02, steps: 50, ticks: [0, 0.5, 1] }),
  ]);
  return {
    root: html("div", { class: "vmtl-sliders" }, Object.values(all).map((s) => s.root)),
    draw(now) { for (const [trait, one] of Object.entries(all)) one.set(now[trait]); },
  };
}

function sentence({ posterior, moments, jensen, convex }) {
  const shares = posterior.weights, best = shares.indexOf(Math.max(...shares)), law = ({ mean, sd }) => `${format(mean)} ± ${format(sd)}`;
  const lost = ({ slack, gap }) => `${format(slack + gap)} (slack ${format(slack)}, gap ${format(gap)})`;
  return `log Σ αₖZₖ = ${format(posterior.evidence)}. The ELBO stays below it by ${lost(jensen)} with jensen, by ${lost(convex)} with convex. ` +
    `The exact posterior believes most in ${NAMES[best]}, ${Math.round(100 * shares[best])} %; its mean and sd are ${law(moments)}, those of q ${law(jensen.q)} with jensen, ${law(convex.q)} with convex.`;
}

/** What a test compares with torch. */
const exposed = (now, density) => {
  const thin = (values) => values.filter((_, i) => i % 12 === 0);
  return {
    ...Object.fromEntries([...KEPT, ...DATA].map((trait) => [trait, now[trait]])), prior: now.prior, posterior: now.posterior, moments: now.moments,
    jensen: now.jensen, convex: now.convex, density: { x: thin(density.x), prior: thin(density.prior), posterior: thin(density.posterior) },
  };
};

function build({ root, get, set, announce }) {
  const presets = presetButtons(get, set), control = sliders(get, set), loss = lossPanel(), shares = sharesPanel({ names: NAMES });
  const densities = densitiesPanel({ at: () => get("centre"), move: (v) => set("centre", v) });
  densities.root.append(legend());
  const readout = html("p", { class: "vmtl-readout" });
  root.append(presets.root, html("div", { class: "vmtl-panels" }, densities.root, html("div", { class: "vmtl-side" }, loss.root, shares.root)), readout, control.root);
  return () => {
    const now = compute(get);
    for (const one of [presets, control, loss, shares]) one.draw(now);
    const density = densities.draw(now);
    say(readout, sentence(now));
    announce(readout.textContent);
    return exposed(now, density);
  };
}

export default {
  render({ model, el }) {
    return mount({ model, el, name: "receiver", traits: [...KEPT, ...DATA, "presets"], build });
  },
};
