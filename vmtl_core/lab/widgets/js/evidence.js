// Evidence, bound and gap of a line; q is dragged over the exact posterior. Python: evidence.py.
import { format, html, say, svg } from "./axes.js";
import { button, slider } from "./controls.js";
import { correlation, eStep, lawOf, lawsOf, mStepNoise, mStepScale, NOISE, SCALE, sdOfLine, termsOf } from "./evidencemath.js";
import { linesPanel } from "./evidencelines.js";
import { planePanel } from "./evidenceplane.js";
import { stackPanel } from "./evidencestack.js";
import { mount } from "./view.js";

const KEPT = ["mean", "sds", "slant", "family", "noise", "scale", "shift", "same_lines"];
const DATA = ["x", "y"];
const FAMILIES = [["diagonal", "diagonal q"], ["full", "full q"]];

const stateOf = (get) => Object.fromEntries([...KEPT, ...DATA].map((trait) => [trait, get(trait)]));

/** Everything the figure shows, from the traits alone. */
function compute(get) {
  const now = stateOf(get), terms = termsOf(now), laws = lawsOf(now), usual = { ...now, noise: 1, scale: 1 };
  const best = eStep(now), at = (changes) => termsOf({ ...now, ...changes });
  const bound = terms.fit - terms.kl, raised = (changes) => { const t = at(changes); return t.fit - t.kl - bound; };
  const sigma = mStepNoise(now), tau = mStepScale(now);
  return {
    ...now, terms, laws, best, q: lawOf(now), smallest: at(best).gap, sigma, tau,
    gains: { e: terms.gap - at(best).gap, noise: raised({ noise: sigma }), scale: raised({ scale: tau }) },
    moved: terms.evidence - at({ shift: 0 }).evidence, view: lawsOf(usual).posterior, usual: termsOf({ ...usual, shift: 0 }).evidence,
  };
}

const swatch = (name, words) => html("span", { class: "vmtl-source" },
  svg("svg", { viewBox: "0 0 34 12", width: 34, height: 12, "aria-hidden": "true" }, svg("path", { d: "M1,6H33", class: name })), words);
const legend = () => html("div", { class: "vmtl-legend" },
  swatch("vmtl-q", "q (90 %)"), swatch("vmtl-exact-key", "exact posterior"), swatch("vmtl-prior", "prior"));

/** Sets the traits of `changes`, and q to the best of its family there. */
function follow({ get, set }, changes) {
  const best = eStep({ ...stateOf(get), ...changes });
  for (const [trait, value] of Object.entries({ ...changes, ...best })) set(trait, value);
}

function makeButtons({ get, set }) {
  const start = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
  const families = FAMILIES.map(([name, label]) => button({
    label, name: `family-${name}`, title: name === "full" ? "q may slant" : "q stands upright: no correlation",
    onClick: () => { set("family", name); if (name === "diagonal") set("slant", 0); },
  }));
  const steps = [
    button({ label: "E-step", name: "e-step", title: "q becomes the best of its family; the model stays", onClick: () => follow({ get, set }, {}) }),
    button({ label: "M-step in σ", name: "m-noise", title: "σ of the greatest bound; q stays", onClick: () => set("noise", mStepNoise(stateOf(get))) }),
    button({ label: "M-step in τ", name: "m-scale", title: "τ of the greatest bound; q stays", onClick: () => set("scale", mStepScale(stateOf(get))) }),
  ];
  const reset = button({ label: "Start again", name: "reset", title: "Back to the first setting", onClick: () => KEPT.forEach((t) => set(t, start[t])) });
  const group = (label, made) => html("div", { class: "vmtl-bar", role: "group", "aria-label": label }, made.map((b) => b.root));
  return {
    root: html("div", { class: "vmtl-bar" }, group("family of q", families), group("half steps of EM", steps), reset.root),
    draw({ family }) { FAMILIES.forEach(([name], i) => families[i].root.setAttribute("aria-pressed", name === family)); },
  };
}

function makeSliders({ get, set }) {
  const all = {
    slant: slider({ label: "Slant ρ of q", name: "slant", min: -0.99, max: 0.99, step: 0.01, steps: 198, ticks: [-0.9, 0, 0.9], show: (v) => format(v), onInput: (v) => set("slant", v) }),
    noise: slider({ label: "Noise σ", name: "noise", min: NOISE[0], max: NOISE[1], log: true, step: 0.01, steps: 120, ticks: [0.1, 0.5, 1, 2, 5], show: (v) => format(v), onInput: (v) => set("noise", v) }),
    scale: slider({ label: "Scale τ of the prior", name: "scale", min: SCALE[0], max: SCALE[1], log: true, step: 0.01, steps: 120, ticks: [0.1, 0.5, 1, 2, 5], show: (v) => format(v), onInput: (v) => set("scale", v) }),
    shift: slider({ label: "Shift c of the inputs; q follows", name: "shift", min: -3, max: 3, step: 0.05, steps: 120, ticks: [-3, 0, 3], show: (v) => format(v), onInput: (v) => follow({ get, set }, { shift: v }) }),
  };
  const prior = button({
    label: "Carry the prior along", name: "same-lines", title: "The same prior over lines, whatever the shift", onClick: () => follow({ get, set }, { same_lines: !get("same_lines") }),
  });
  all.shift.root.append(html("div", { class: "vmtl-also" }, prior.root));
  return {
    root: html("div", { class: "vmtl-sliders" }, Object.values(all).map((s) => s.root)),
    draw(now) {
      for (const [trait, one] of Object.entries(all)) one.set(now[trait]);
      all.slant.input.disabled = now.family === "diagonal";
      prior.root.setAttribute("aria-pressed", now.same_lines);
    },
  };
}

const nats = (v) => `${format(v)} ${Math.abs(v - 1) < 0.005 ? "nat" : "nats"}`;

function aboutQ({ family, gains, smallest, laws }) {
  if (gains.e > 0.005) return `An E-step would take ${nats(gains.e)} off the gap.`;
  if (family === "full") return "q is the exact posterior: no gap is left.";
  const rho = correlation(laws.posterior.covariance);
  return `No upright q comes closer: the posterior's correlation is ρ = ${format(rho)}, and −½ log(1 − ρ²) = ${format(smallest)} stays.`;
}

function aboutModel({ gains: { noise, scale } }) {
  if (Math.max(noise, scale) < 0.005) return "No M-step would raise the bound.";
  return `M-steps would raise the bound by ${format(noise)} in σ, by ${format(scale)} in τ, and move the top.`;
}

function aboutShift({ shift, same_lines, moved }) {
  if (Math.abs(shift) < 1e-9) return "";
  if (same_lines) return " The prior was carried along, says of every line what it said at c = 0, and log p(y) hasn't moved: what changed is the posterior's slant.";
  return ` N(0, τ²I) on the shifted weights is another prior over lines, for its intercept is at another place: log p(y) is ${nats(Math.abs(moved))} ${moved < 0 ? "below" : "above"} that at c = 0.`;
}

function sentence(now) {
  const { fit, kl, gap, evidence } = now.terms;
  return `log p(y) = ${format(evidence)}: fit ${format(fit)}, minus KL ${format(kl)}, plus gap ${format(gap)}. ${aboutQ(now)} ${aboutModel(now)}${aboutShift(now)}`;
}

/** What a test compares with torch. */
const exposed = ({ terms, laws, best, smallest, sigma, tau, gains, moved, ...now }) => ({
  ...Object.fromEntries([...KEPT, ...DATA].map((trait) => [trait, now[trait]])), terms, best, smallest, sigma, tau, gains, moved,
  posterior: laws.posterior, prior: laws.prior, bands: [now.q, laws.posterior, laws.prior].map((law) => [-3, 0, 2].map((x) => sdOfLine(law, x, now.shift))),
});

function build({ root, get, set, announce }) {
  const buttons = makeButtons({ get, set }), sliders = makeSliders({ get, set }), stack = stackPanel(), lines = linesPanel();
  const plane = planePanel({
    at: () => ({ mean: get("mean"), sds: get("sds") }), move: (to) => set("mean", to),
    widen: (d, sd) => set("sds", get("sds").map((old, i) => (i === d ? sd : old))),
  });
  plane.root.append(legend());
  const readout = html("p", { class: "vmtl-readout" });
  root.append(buttons.root, html("div", { class: "vmtl-panels" }, plane.root, stack.root), readout,
    html("div", { class: "vmtl-panels" }, lines.root, sliders.root));
  return () => {
    const now = compute(get);
    for (const one of [buttons, plane, stack, lines, sliders]) one.draw(now);
    say(readout, sentence(now));
    announce(readout.textContent);
    return exposed(now);
  };
}

export default {
  render({ model, el }) {
    return mount({ model, el, name: "evidence", traits: [...KEPT, ...DATA], build });
  },
};
