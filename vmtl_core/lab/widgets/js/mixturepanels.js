// Densities of the receiver's weight, what each ELBO loses, and the shares of the components.
import {
  bottomAxis, colourClass, dashOf, format, hatching, line, linearScale, linearTicks, panel, svg, text,
} from "./axes.js";
import { dragHandle } from "./controls.js";
import { mixtureDensity } from "./density.js";
import { normalPdf } from "./math.js";

const W = [-3.5, 3.5], CENTRES = [-3, 3], NATS = [-8, 1], BASE = 6;
const minus = (t) => String(t).replace("-", "−");
export const partClass = (k, count) => colourClass(k < count - 1 ? k : BASE);
const sure = (v, [low, high]) => Math.min(high, Math.max(low, v));

/** The densities; `move(centre)` is called where the likelihood is dragged. */
export function densitiesPanel({ at, move }) {
  const view = panel("densities", "Densities of the weight w. Drag the likelihood (▼), or use the arrow keys");
  view.drawing.setAttribute("role", "group");
  const picture = svg("g", { "aria-hidden": "true" }), handle = svg("g");
  view.drawing.append(picture, handle);
  let x = linearScale(W, [0, 1]);
  const clip = (v) => Number(sure(Math.round(v * 100) / 100, CENTRES).toFixed(6));
  const knob = dragHandle(handle, {
    label: "mean of the likelihood", onDrag: (px) => move(clip(x.invert(px))), onKey: (dx, dy) => move(clip(at() + 0.05 * (dx || dy))),
  });
  function draw({ centre, rows, prior, posterior, jensen, convex }) {
    const [width, height] = view.resize((w) => (w > 480 ? 330 : 280)), bottom = height - 38, left = 10;
    x = linearScale(W, [left, width - 10]);
    const se = rows ** -0.5, before = mixtureDensity(prior.weights, prior.means, prior.sds, ...W), after = mixtureDensity(posterior.weights, posterior.means, posterior.sds, ...W);
    const seen = before.x.map((w) => normalPdf(w, centre, se)), q = [jensen, convex].map(({ q: law }) => before.x.map((w) => normalPdf(w, law.mean, law.sd)));
    const y = linearScale([0, 1.04 * Math.max(0.7, ...before.mixture, ...after.mixture, ...seen, ...q[0], ...q[1])], [bottom, 16]);
    const curve = (values) => line(values.map((v, i) => [x(before.x[i]), y(v)])), closed = (values) => `${curve(values)}V${bottom}H${x(W[0])}Z`;
    picture.replaceChildren(
      svg("path", { class: "vmtl-before", d: closed(before.mixture) }), svg("path", { class: "vmtl-after", d: closed(after.mixture) }),
      ...before.components.map((values, k) => svg("path", { class: `vmtl-part ${partClass(k, prior.weights.length)}`, "stroke-dasharray": dashOf(k), d: curve(values) })),
      svg("path", { class: "vmtl-seen", d: curve(seen) }),
      svg("path", { class: "vmtl-q-convex", d: curve(q[1]) }), svg("path", { class: "vmtl-q", d: curve(q[0]) }),
      text(left, 11, "density", { class: "vmtl-axis-label" }),
      bottomAxis(x, bottom, { ticks: linearTicks(...W, 7), tickFormat: minus, label: "value of the weight w" }));
    const top = y(normalPdf(centre, centre, se));
    handle.replaceChildren(svg("rect", { x: x(centre) - 16, y: Math.min(top, bottom - 60), width: 32, height: bottom - Math.min(top, bottom - 60) + 6, class: "vmtl-grip" }),
      svg("path", { class: "vmtl-now", d: `M${x(centre)},${bottom}V${top}` }), svg("path", { class: "vmtl-now-head", d: `M${x(centre) - 7},${bottom - 12}h14l-7,12Z` }));
    knob.say(centre, `sample mean ${format(centre)}`, CENTRES);
    const told = prior.weights.map((a, k) => `${k < prior.weights.length - 1 ? `source ${k + 1}` : "base"} with weight ${format(a)} about ${format(prior.means[k])}, ` +
      `after the data ${format(posterior.weights[k])} about ${format(posterior.means[k])}`);
    view.describe(`Sample mean ${format(centre)} of ${rows} rows. Prior: ${told.join("; ")}. q by jensen has mean ${format(jensen.q.mean)}, sd ${format(jensen.q.sd)}; ` +
      `by convex mean ${format(convex.q.mean)}, sd ${format(convex.q.sd)}.`);
    return { x: before.x, prior: before.mixture, posterior: after.mixture };
  }
  return { ...view, draw };
}

/** log sum alpha Z, and below it both ELBOs, each with the slack of its bound and the gap of its q. */
export function lossPanel() {
  const view = panel("loss", "ELBO + slack of the bound (plain) + gap of q (hatched) = log Σ αₖZₖ, in nats");
  const [defs, hatched] = hatching(), LEFT = 62, ROW = 46, HEAD = 6;
  function draw({ posterior: { evidence }, jensen, convex }) {
    const [width, height] = view.resize(HEAD + 3 * ROW + 42), right = width - 52, bottom = height - 40, narrow = width < 360;
    const x = linearScale(NATS, [LEFT, right]), at = (v) => x(sure(v, NATS));
    const block = (name, i, from, to, fill) => svg("rect", { class: name, x: at(from), y: HEAD + i * ROW + 3, width: Math.max(at(to) - at(from), 0), height: 22, fill });
    const label = (i, words, more) => text(LEFT - 8, HEAD + i * ROW + 18, words, { "text-anchor": "end", ...more });
    const rows = [["jensen", jensen], ["convex", convex]].flatMap(([name, { elbo, slack, gap }], k) => [
      label(k + 1, name), block("vmtl-elbo", k + 1, NATS[0], elbo), block("vmtl-slack", k + 1, elbo, elbo + slack),
      block("vmtl-gap", k + 1, elbo + slack, evidence), block(null, k + 1, elbo + slack, evidence, hatched),
      elbo < NATS[0] ? svg("path", { class: "vmtl-leaves", d: `M${LEFT + 11},${HEAD + (k + 1) * ROW + 7}l-8,7l8,7` }) : null,
      text(right + 6, HEAD + (k + 1) * ROW + 18, format(elbo), { class: "vmtl-number", "data-part": name }),
      text(LEFT, HEAD + (k + 1) * ROW + 39, `${narrow ? "" : "ELBO "}${format(elbo)}, slack ${format(slack)}, gap ${format(gap)}`, { class: "vmtl-axis-label" })]);
    view.drawing.replaceChildren(...[defs,
      svg("path", { class: "vmtl-grid", d: linearTicks(...NATS, 6).map((t) => `M${x(t)},${HEAD}V${bottom}`).join("") }),
      label(0, "exact"), block("vmtl-whole", 0, NATS[0], evidence), text(right + 6, HEAD + 18, format(evidence), { class: "vmtl-number", "data-part": "exact" }),
      text(LEFT, HEAD + 39, "log Σ αₖZₖ", { class: "vmtl-axis-label" }), rows,
      svg("path", { class: "vmtl-evidence-line", d: `M${at(evidence)},${HEAD - 3}V${bottom}` }),
      bottomAxis(x, bottom, { ticks: linearTicks(...NATS, 6), tickFormat: minus, label: "nats" })].flat(Infinity).filter(Boolean));
    const told = (name, { elbo, slack, gap }) => `${name}: ELBO ${format(elbo)}, slack ${format(slack)}, gap ${format(gap)}`;
    view.describe(`Exact log evidence ${format(evidence)}. ${told("Jensen", jensen)}. ${told("Convex", convex)}.`);
  }
  return { ...view, draw };
}

/** Whose word counts: weights in the prior, probabilities (2.8), exponents of q's product. */
export function sharesPanel({ names }) {
  const view = panel("shares", "Whose word counts, from left to right p₁, p₂, p₃, base");
  const LEFT = 62, ROW = 34;
  function draw({ prior, posterior, jensen }) {
    const [width] = view.resize(3 * ROW + 6), x = linearScale([0, 1], [LEFT, width - 6]);
    const rows = [["prior α", prior.weights], ["P(k | D)", posterior.weights], ["φ of q", jensen.phi]];
    view.drawing.replaceChildren(...rows.flatMap(([label, shares], i) => {
      let from = 0;
      const top = 4 + i * ROW;
      return [text(LEFT - 8, top + 17, label, { "text-anchor": "end" }), ...shares.flatMap((share, k) => {
        const [a, b] = [x(from), x(from + share)];
        from += share;
        return [svg("rect", { class: `vmtl-share ${partClass(k, shares.length)}`, x: a.toFixed(1), y: top, width: Math.max(b - a, 0).toFixed(1), height: 25 }),
          b - a > 26 ? text((a + b) / 2, top + 17, names[k], { "text-anchor": "middle" }) : null];
      })].filter(Boolean);
    }));
    view.describe(rows.map(([label, shares]) => `${label}: ${shares.map((v, k) => `${names[k]} ${format(v)}`).join(", ")}`).join(". ") + ".");
  }
  return { ...view, draw };
}
