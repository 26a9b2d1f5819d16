// The exact posterior in the plane of intercept and slope, and q, which is dragged.
import { bottomAxis, format, leftAxis, line, linearScale, linearTicks, panel, svg, uniqueId } from "./axes.js";
import { dragHandle } from "./controls.js";

const RADIUS = Math.sqrt(-2 * Math.log(0.1)), LEFT = 40, TOP = 8, FOOT = 38;
/** Half the window, in standard deviations of the posterior at noise 1 and scale 1. */
const HALF = 5;
const minus = (t) => String(t).replace("-", "−");
const inside = (v, [low, high]) => Math.min(high, Math.max(low, v));

/** The curve that holds 90 % of a Gaussian, as points. */
function outline({ mean, covariance: [a, b, c] }, count = 90) {
  const s = Math.sqrt(a), lower = b / s, rest = Math.sqrt(Math.max(c - lower * lower, 0));
  return Array.from({ length: count + 1 }, (_, i) => {
    const turn = (2 * Math.PI * i) / count, u = RADIUS * Math.cos(turn), v = RADIUS * Math.sin(turn);
    return [mean[0] + s * u, mean[1] + lower * u + rest * v];
  });
}

/** [low, high] of intercept and slope that are drawn: they depend on the data and the shift alone. */
export const windowOf = ({ mean, covariance }) => [0, 1].map((d) => {
  const half = HALF * Math.sqrt(covariance[2 * d]);
  return [mean[d] - half, mean[d] + half];
});

/** The panel; `move([w0, w1])` and `widen(d, sd)` are called as q is dragged, `at()` gives { mean, sds }. */
export function planePanel({ at, move, widen }) {
  const view = panel("plane", "Weights. Drag the disc (mean of q) and the two squares (its widths), or use the arrow keys");
  view.drawing.setAttribute("role", "group");
  const id = uniqueId("plane"), frame = svg("rect", { x: LEFT, y: TOP });
  const axes = svg("g", { "aria-hidden": "true" }), shapes = svg("g", { "clip-path": `url(#${id})`, "aria-hidden": "true" });
  let x = linearScale([0, 1], [0, 1]), y = x, box = [[0, 1], [0, 1]], slant = 0;
  const step = (d) => (box[d][1] - box[d][0]) / 80, neat = (v) => Number(v.toPrecision(6));
  const place = (a, b) => move([neat(inside(a, box[0])), neat(inside(b, box[1]))]);
  const size = (d, sd) => widen(d, neat(inside(sd, [step(d) / 8, 40 * step(d)])));
  const middle = svg("g", {}, svg("circle", { r: 15, class: "vmtl-grip" }), svg("circle", { r: 6, class: "vmtl-q-mark" }));
  const edges = [0, 1].map(() => svg("g", {}, svg("circle", { r: 13, class: "vmtl-grip" }), svg("rect", { x: -5, y: -5, width: 10, height: 10, rx: 2, class: "vmtl-edge" })));
  const knobs = [dragHandle(middle, {
    label: "mean of q", onDrag: (px, py) => place(x.invert(px), y.invert(py)),
    onKey: (dx, dy) => place(at().mean[0] + (dx === dy ? 0 : dx) * step(0), at().mean[1] + dy * step(1)),
  }), ...edges.map((node, d) => dragHandle(node, {
    label: `width of q, ${d ? "slope" : "intercept"}`,
    onDrag: (px, py) => size(d, ((d ? y.invert(py) : x.invert(px)) - at().mean[d]) / RADIUS),
    onKey: (dx, dy) => size(d, at().sds[d] * 1.05 ** (dx || dy)),
  }))];
  view.drawing.append(svg("defs", {}, svg("clipPath", { id }, frame)), axes, shapes, ...edges, middle);

  function draw({ q, laws, mean, sds, view: seen }) {
    const [width, height] = view.resize((w) => Math.min(w, 380)), right = width - 8, bottom = height - FOOT;
    box = windowOf(seen);
    slant = q.covariance[1] / sds[0] / sds[1];
    x = linearScale(box[0], [LEFT, right]);
    y = linearScale(box[1], [bottom, TOP]);
    for (const [name, value] of Object.entries({ width: right - LEFT, height: bottom - TOP })) frame.setAttribute(name, value);
    axes.replaceChildren(leftAxis(y, LEFT, { ticks: linearTicks(...box[1], 5), gridTo: right, tickFormat: minus }),
      bottomAxis(x, bottom, { ticks: linearTicks(...box[0], 6), tickFormat: minus, label: "intercept w₀ (across), slope w₁ (up)" }));
    const curve = (law) => `${line(outline(law).map(([a, b]) => [x(a), y(b)]))}Z`;
    shapes.replaceChildren(svg("path", { class: "vmtl-exact", d: curve(laws.posterior) }),
      svg("path", { class: "vmtl-prior", d: curve(laws.prior) }), svg("path", { class: "vmtl-q", d: curve(q) }));
    const put = (node, a, b) => node.setAttribute("transform", `translate(${inside(x(a), x.range).toFixed(1)},${inside(y(b), [TOP, bottom]).toFixed(1)})`);
    put(middle, ...mean);
    put(edges[0], mean[0] + RADIUS * sds[0], mean[1] + RADIUS * slant * sds[1]);
    put(edges[1], mean[0] + RADIUS * slant * sds[0], mean[1] + RADIUS * sds[1]);
    knobs[0].say(mean[0], `intercept ${format(mean[0])}, slope ${format(mean[1])}`, box[0]);
    [0, 1].forEach((d) => knobs[d + 1].say(sds[d], `standard deviation ${format(sds[d], 3)}`, [step(d) / 8, 40 * step(d)]));
    const told = ({ mean: [a, b], covariance: c }) => `intercept ${format(a)}, sd ${format(Math.sqrt(c[0]))}, slope ${format(b)}, sd ${format(Math.sqrt(c[2]))}, ` +
      `correlation ${format(c[1] / Math.sqrt(c[0] * c[2]))}`;
    view.describe(`Exact posterior: ${told(laws.posterior)}. q: ${told(q)}.`);
  }
  return { ...view, draw };
}
