// A bar for every method, on one axis, with a line at the exact value through all of them.
import { bottomAxis, dots, format, hatching, linearScale, linearTicks, panel, svg, text } from "./axes.js";

const ROWS = [
  ["lower_bound", "lower bound"], ["exact", "exact"], ["sampled", "sampled"], ["jensen", "jensen"],
  ["convex", "convex"], ["weighted_sum", "weighted sum"],
];
const ROW = 36, LEFT = 94, RIGHT = 62, HEAD = 8;

/** Three decimals where they fit, fewer for large numbers. */
export const rounded = (value) => format(value, Math.abs(value) < 9.9995 ? 3 : Math.abs(value) < 99.995 ? 2 : 1);

/** [low, high] of the axis: it holds exact, jensen and the estimates; what is larger leaves it. */
export function barDomain({ kl, sampled }) {
  const low = Math.min(0, kl.lower_bound, ...sampled);
  const inner = 1.05 * Math.max(0.2, kl.exact, kl.jensen, ...sampled);
  const wanted = Math.max(inner, Math.min(1.05 * Math.max(kl.convex, kl.weighted_sum), 7 * inner));
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1.05 * low, power * [1, 1.5, 2, 3, 5, 7, 10].find((m) => m * power >= wanted * 0.9999)];
}

export function barsPanel() {
  const view = panel("bars", "KL from q to the mixture in nats, by every method; the line is the exact value");
  const [defs, hatched] = hatching();
  function row([key, label], i, { kl, sampled, centre, spread }, x, right) {
    const top = HEAD + i * ROW, middle = top + ROW / 2 - 3;
    const value = key === "sampled" ? centre : kl[key], leaves = value > x.domain[1];
    const end = x(Math.min(value, x.domain[1])), from = Math.min(x(0), end), width = Math.max(1, Math.abs(end - x(0)));
    const name = text(LEFT - 10, middle + 4, label, { "text-anchor": "end" });
    const number = text(right + 8, middle + 4, rounded(value), { class: "vmtl-number", "data-method": key });
    if (key === "sampled") {
      const points = Array.from(sampled, (e, j) => [x(e), middle - 9 + ((j * 7) % 19)]);
      return [name, number, text(right + 8, middle + 17, `± ${rounded(spread)}`, { class: "vmtl-axis-label" }),
        svg("path", { class: "vmtl-dots", d: dots(points) })];
    }
    const box = { x: from, y: middle - 10, width, height: 20, rx: 2 };
    return [name, number, svg("rect", { ...box, class: `vmtl-bar-${key}` }),
      key === "weighted_sum" ? svg("rect", { ...box, fill: hatched }) : null,
      key === "weighted_sum" ? text(LEFT - 10, middle + 17, "(no bound)", { "text-anchor": "end", class: "vmtl-axis-label" }) : null,
      leaves ? svg("path", { class: "vmtl-leaves", d: `M${end - 13},${middle - 7}l9,7l-9,7` }) : null];
  }
  function draw(now) {
    const [width, height] = view.resize(HEAD + ROW * ROWS.length + 48);
    const right = width - RIGHT, bottom = height - 40;
    const domain = barDomain(now), x = linearScale(domain, [LEFT, right]);
    const ticks = linearTicks(...domain, right - LEFT > 250 ? 5 : 3);
    view.drawing.replaceChildren(defs,
      svg("path", { class: "vmtl-grid", d: ticks.map((t) => `M${x(t)},${HEAD}V${bottom}`).join("") }),
      ...ROWS.flatMap((r, i) => row(r, i, now, x, right)).filter(Boolean),
      svg("path", { class: "vmtl-exact-line", d: `M${x(now.kl.exact)},${HEAD - 4}V${bottom}` }),
      bottomAxis(x, bottom, { ticks, tickFormat: (t) => String(t).replace("-", "−"), label: "nats" }));
    view.describe(`KL in nats. ${ROWS.map(([key, label]) => (key === "sampled"
      ? `sampled ${rounded(now.centre)}, standard deviation of one estimate ${rounded(now.spread)}`
      : `${label} ${rounded(now.kl[key])}`)).join("; ")}.`);
  }
  return { ...view, draw };
}
