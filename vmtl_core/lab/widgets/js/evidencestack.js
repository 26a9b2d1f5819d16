// Two stacks on one ELBO: fit = ELBO + KL, and log p(y) = ELBO + gap.
import { format, hatching, leftAxis, linearScale, linearTicks, panel, say, svg, text } from "./axes.js";

const TOP = 10, BELOW = 16, ABOVE = 8, STEP = 10;
const minus = (t) => String(t).replace("-", "−");

/** Nats from the floor to the ceiling, about the evidence at noise 1 and scale 1; by tens where it leaves. */
export function reachOf(evidence, usual) {
  let low = Math.round(usual) - BELOW;
  while (evidence < low + 5) low -= STEP;
  while (evidence > low + BELOW + ABOVE - 3) low += STEP;
  return [low, low + BELOW + ABOVE];
}

export function stackPanel() {
  const view = panel("stack", "");
  const [defs, hatched] = hatching();
  function draw({ terms: { fit, kl, gap, evidence }, usual }) {
    say(view.caption, `log p(y) = fit − KL + gap:  ${format(evidence)} = ${format(fit)} − ${format(kl)} + ${format(gap)}`);
    const [width, height] = view.resize((w) => Math.min(w + 20, 400)), bottom = height - 42, left = 38;
    const domain = reachOf(evidence, usual), y = linearScale(domain, [bottom, TOP]);
    const at = (v) => Math.min(bottom, Math.max(TOP, y(v))), bound = fit - kl;
    const room = (width - left) / 2, wide = Math.min(96, room - 84);
    const column = (k, height, kind, name, value) => {
      const from = left + 6 + k * room, block = { x: from, width: wide, rx: 2 }, centre = from + wide / 2;
      const top = at(height), base = at(bound), size = Math.max(base - top, 0), under = Math.min(bottom - (y(bound) > bottom ? 18 : 8), base + 18);
      const beside = size > 30 ? (top + base) / 2 + 4 : Math.min(bottom - 6, base + 17);
      const said = (x, where, words, more) => text(x, where, words, { class: "vmtl-number", ...more });
      const leaves = (y0, turn) => svg("path", { class: "vmtl-leaves", d: `M${centre - 7},${y0}l7,${9 * turn}l7,${-9 * turn}` });
      return [
        svg("rect", { ...block, y: base, height: bottom - base, class: "vmtl-elbo" }),
        svg("rect", { ...block, y: top, height: size, class: `vmtl-block-${kind}` }),
        k ? svg("rect", { ...block, y: top, height: size, fill: hatched }) : null,
        y(height) < TOP - 0.5 ? leaves(TOP + 11, -1) : null, y(bound) > bottom + 0.5 ? leaves(bottom - 11, 1) : null,
        said(from + wide + 6, beside, `${name} ${format(value)}`, { "data-part": kind }),
        k ? said(centre, under, format(bound), { "text-anchor": "middle", "data-part": "elbo" }) : said(centre, under, "ELBO", { "text-anchor": "middle" }),
        text(centre, bottom + 17, k ? "log p(y) =" : "fit =", { "text-anchor": "middle", class: "vmtl-axis-label" }),
        text(centre, bottom + 33, k ? "ELBO + gap" : "ELBO + KL", { "text-anchor": "middle", class: "vmtl-axis-label" })];
    };
    const ticks = linearTicks(...domain, 5);
    const across = (name, v) => svg("path", { class: name, d: `M${left},${at(v)}H${width - 4}` });
    view.drawing.replaceChildren(...[defs,
      leftAxis(y, left, { ticks, gridTo: width - 4, tickFormat: minus }), across("vmtl-bound", bound), across("vmtl-evidence-line", evidence),
      column(0, fit, "kl", "KL", kl), column(1, evidence, "gap", "gap", gap)].flat(Infinity).filter(Boolean));
    view.describe(`In nats: log p(y) ${format(evidence)}, fit ${format(fit)}, KL ${format(kl)}, ELBO ${format(bound)}, gap ${format(gap)}.`);
  }
  return { ...view, draw };
}
