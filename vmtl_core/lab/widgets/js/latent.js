// Two encoders, the prior that they make of a row's latent, and the temperature of beta. Python: latent.py.
import { format, formatLog, html, say } from "./axes.js";
import { button, slider } from "./controls.js";
import { curvesOf, logBetaOf, pairsOf, rowsKl, rowsPhi, scoresOf, TAUS } from "./latentmath.js";
import { encodersPanel, priorsPanel, temperaturePanel } from "./latentpanels.js";
import { mount } from "./view.js";

const KEPT = ["rows", "slopes", "preference", "tau", "receiver", "noise", "seed"];
const DATA = ["intercepts", "sds"];
const ROWS = 3;

/** Everything the figure shows, from the traits alone. */
function compute(get) {
  const now = Object.fromEntries([...KEPT, ...DATA].map((trait) => [trait, get(trait)]));
  const pairs = pairsOf(now), scores = scoresOf(now), logBeta = logBetaOf(scores[0], now.tau), kl = rowsKl(pairs, logBeta);
  return { ...now, pairs, beta: logBeta.map(Math.exp), kl, phi: rowsPhi(pairs, logBeta), total: kl.reduce((a, b) => a + b, 0), curves: curvesOf(pairs, scores) };
}

function buttons(get, set) {
  const start = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
  const receivers = [0, 1].map((t) => button({ label: `rows of task ${t}`, name: `receiver-${t}`, title: "Whose rows, and whose prior", onClick: () => set("receiver", t) }));
  const noise = button({ label: "noise in β", name: "noise", title: "Gumbel noise, or none", onClick: () => set("noise", !get("noise")) });
  const again = button({ label: "New noise", name: "again", title: "With the next seed", onClick: () => set("seed", (get("seed") + 1) % 2 ** 32) });
  const reset = button({ label: "Start again", name: "reset", title: "Back to the first setting", onClick: () => KEPT.forEach((t) => set(t, start[t])) });
  return {
    root: html("div", { class: "vmtl-bar" }, html("div", { class: "vmtl-bar", role: "group", "aria-label": "receiver" }, receivers.map((b) => b.root)), noise.root, again.root, reset.root),
    draw(now) {
      receivers.forEach((b, t) => b.root.setAttribute("aria-pressed", t === now.receiver));
      noise.root.setAttribute("aria-pressed", now.noise);
    },
  };
}

function sliders(get, set) {
  const other = () => 1 - get("receiver");
  const slope = slider({
    label: "Slope of the other task's encoder", name: "slope", min: -2, max: 2, step: 0.05, steps: 80, ticks: [-2, 0, 2], show: (v) => format(v),
    onInput: (v) => set("slopes", get("slopes").map((old, t) => (t === other() ? v : old))),
  });
  const tau = slider({
    label: "Temperature τ", name: "tau", min: TAUS[0], max: TAUS.at(-1), log: true, steps: 160, ticks: [0.1, 1, 10], show: formatLog, onInput: (v) => set("tau", v),
  });
  const preference = slider({
    label: "log π of the other task − log π of the base", name: "preference", min: -3, max: 3, step: 0.1, steps: 60, ticks: [-3, 0, 3], show: (v) => format(v, 1), onInput: (v) => set("preference", v),
  });
  return {
    root: html("div", { class: "vmtl-sliders" }, tau.root, preference.root, slope.root),
    draw(now) {
      tau.set(now.tau);
      preference.set(now.preference);
      slope.set(now.slopes[1 - now.receiver]);
    },
  };
}

function sentence({ beta, kl, total, phi, receiver, tau }) {
  const shares = phi.map((p) => p[0]), percent = (n) => `${Math.round(100 * shares[n])} %`;
  const dear = kl.indexOf(Math.max(...kl)), most = shares.indexOf(Math.max(...shares)), least = shares.indexOf(Math.min(...shares));
  const explained = percent(most) === percent(least) ? `${percent(most)} of every row` : `${percent(most)} of row ${most + 1} and ${percent(least)} of row ${least + 1}`;
  return `τ = ${formatLog(tau)}: β = ${format(beta[0])} for task ${1 - receiver}, ${format(beta[1])} for the base prior, the same for all rows. ` +
    `KL of z = ${kl.map((v) => format(v)).join(" + ")} = ${format(total)} nats; row ${dear + 1} is the dearest. Task ${1 - receiver} explains ${explained}.`;
}

/** What a test compares with torch. */
const exposed = ({ pairs, beta, kl, phi, total, curves, ...now }) =>
  ({ ...Object.fromEntries([...KEPT, ...DATA].map((trait) => [trait, now[trait]])), pairs, beta, kl, phi, total, curves });

function build({ root, get, set, announce }) {
  const choice = buttons(get, set), control = sliders(get, set), priors = priorsPanel(), temperature = temperaturePanel({ at: () => get("tau"), onTau: (v) => set("tau", v) });
  const encoders = encodersPanel({
    count: ROWS, at: (n) => get("rows")[get("receiver")][n],
    move: (n, v) => set("rows", get("rows").map((row, t) => (t === get("receiver") ? row.map((old, i) => (i === n ? v : old)) : row))),
  });
  const readout = html("p", { class: "vmtl-readout" });
  root.append(choice.root, html("div", { class: "vmtl-panels" }, encoders.root, priors.root), readout, html("div", { class: "vmtl-panels" }, temperature.root, control.root));
  return () => {
    const now = compute(get);
    for (const one of [choice, control, encoders, priors, temperature]) one.draw(now);
    say(readout, sentence(now));
    announce(readout.textContent);
    return exposed(now);
  };
}

export default {
  render({ model, el }) {
    return mount({ model, el, name: "latent", traits: [...KEPT, ...DATA], build });
  },
};
