// The objective as a stacked bar of its terms, for every task and for their mean.
import { bottomAxis, format, html, linearScale, linearTicks, panel, say, svg, text } from "./axes.js";

const ROW = 23, LEFT = 50, RIGHT = 50, HEAD = 2;
const NAMES = { fit: "log likelihood", kl: "−KL", hyperprior: "hyperprior" };
const WORDS = {
  mixture: "ELBO of each task, and its mean with the hyperprior; ◆ the sum",
  groups: "◆ log p of each task's data given the others', exact: log likelihood less KL; all: log evidence of all data and hyperprior, over their number",
  restless: "ELBO: there is no fit to tell of",
};
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

/** A row for each task, and the mean with the hyperprior, which belongs to no task. */
export function rowsOf({ terms: { likelihood, kl, hyperprior }, elbo, evidence }) {
  const tasks = likelihood.map((fit, t) => ({ name: `task ${t + 1}`, parts: { fit, kl: -kl[t] }, sum: fit - kl[t] }));
  if (evidence === undefined) return [...tasks, { name: "mean", parts: { fit: mean(likelihood), kl: -mean(kl), hyperprior }, sum: elbo }];
  // Of groups: KL of all tasks' weights together, to their prior before any data.
  const fit = mean(likelihood);
  return [...tasks, { name: "all", parts: { fit, kl: evidence / likelihood.length - fit, hyperprior }, sum: elbo }];
}

/** Where the parts of a bar begin and end: what is below 0 goes to the left, the rest to the right. */
export function stacked(parts) {
  const end = [0, 0];
  return Object.entries(parts).map(([name, value]) => {
    const side = value < 0 ? 0 : 1, from = end[side];
    end[side] += value;
    return { name, value, from, to: end[side] };
  });
}

export function termsPanel() {
  const view = panel("terms", WORDS.mixture);
  const said = Object.fromEntries(Object.keys(NAMES).map((name) => [name, html("span")]));
  view.root.append(html("div", { class: "vmtl-legend" }, Object.entries(said).map(([name, node]) =>
    html("span", { class: "vmtl-key" }, html("i", { class: `vmtl-key-${name}`, "aria-hidden": "true" }), node))));
  function draw(now) {
    say(view.caption, WORDS[now.restless ? "restless" : now.evidence === undefined ? "mixture" : "groups"]);
    for (const node of view.root.children) node.hidden = now.restless && node !== view.caption;
    if (now.restless) return;
    const rows = rowsOf(now), [width, height] = view.resize(HEAD + ROW * rows.length + 40), bottom = height - 38;
    const bars = rows.map(({ parts }) => stacked(parts)), ends = bars.flat().map(({ to }) => to);
    const x = linearScale([Math.min(-1, ...ends) * 1.04, Math.max(0.5, ...ends) * 1.04], [LEFT, width - RIGHT]);
    view.drawing.replaceChildren(...rows.flatMap(({ name, sum }, i) => {
      const middle = HEAD + ROW * (i + 0.5), last = i === rows.length - 1, look = last ? "vmtl-whole" : "";
      return [
        i === now.chosen ? svg("rect", { class: "vmtl-shown", x: 0, y: middle - ROW / 2 + 1, width, height: ROW - 2, rx: 4 }) : null,
        text(LEFT - 6, middle + 4, name, { "text-anchor": "end", class: look }),
        ...bars[i].map((part) => svg("rect", {
          class: `vmtl-term vmtl-term-${part.name}`, x: Math.min(x(part.from), x(part.to)).toFixed(1), y: middle - 7, height: 14,
          width: Math.max(0.5, Math.abs(x(part.to) - x(part.from))).toFixed(1), "data-row": i, "data-term": part.name,
        })),
        svg("path", { class: "vmtl-sum-mark", d: `M${x(sum).toFixed(1)},${middle - 6}l5,6l-5,6l-5,-6Z` }),
        text(width - 2, middle + 4, format(sum, 1), { "text-anchor": "end", class: `vmtl-number ${look}`, "data-row": i }),
      ].filter(Boolean);
    }), svg("path", { class: "vmtl-zero", d: `M${x(0)},${HEAD}V${bottom}` }),
    bottomAxis(x, bottom, { ticks: linearTicks(...x.domain, width > 380 ? 6 : 4), tickFormat: (t) => String(t).replace("-", "−"), label: "nats" }));
    for (const [name, node] of Object.entries(said)) say(node, `${NAMES[name]} ${format(rows.at(-1).parts[name], 1)}`);
    view.describe(`ELBO in nats. ${rows.map(({ name, parts, sum }) => `${name}: expected log likelihood ${format(parts.fit, 1)}, KL ${format(-parts.kl, 1)}${
      "hyperprior" in parts ? `, hyperprior ${format(parts.hyperprior, 1)}` : ""}, sum ${format(sum, 1)}`).join("; ")}.`);
  }
  return { ...view, draw };
}
