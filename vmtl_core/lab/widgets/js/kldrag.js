// Densities of q, of the sources and of their mixture, and below them a lane for each with handles
// on its mean and on its width.
import {
  bottomAxis, colourClass, dashOf, format, line, linearScale, marker, panel, svg, text,
} from "./axes.js";
import { dragHandle } from "./controls.js";
import { mixtureDensity } from "./density.js";
import { normalPdf } from "./math.js";

const DOMAIN = [-7.6, 7.6], MEANS = [-5, 5], SDS = [0.4, 2.5];
const TOP = 180, LANE = 32, LEFT = 30, STEP = 0.05;
const clip = (value, [low, high]) =>
  Number(Math.min(high, Math.max(low, Math.round(value / STEP) * STEP)).toFixed(6));

/** A lane: label, bar of one standard deviation either side, two handles that stay in the page. */
function lane({ label, spoken, mean, sd, move, widen }) {
  const picture = svg("g", { "aria-hidden": "true" }), middle = svg("g"), edge = svg("g");
  let x = linearScale(DOMAIN, [0, 1]);
  const steps = (dx, dy) => dx || dy;
  const onMean = dragHandle(middle, {
    label: `mean of ${spoken}`, onDrag: (px) => move(clip(x.invert(px), MEANS)),
    onKey: (dx, dy) => move(clip(mean() + 0.1 * steps(dx, dy), MEANS)),
  });
  const onSd = dragHandle(edge, {
    label: `width of ${spoken}`, onDrag: (px) => widen(clip(x.invert(px) - mean(), SDS)),
    onKey: (dx, dy) => widen(clip(sd() + 0.05 * steps(dx, dy), SDS)),
  });
  return {
    root: svg("g", {}, picture, middle, edge),
    draw(scale, y, shape, faint) {
      x = scale;
      const at = x(mean()), end = x(mean() + sd()), half = (end - at) / 2, hit = { y: y - LANE / 2, height: LANE, class: "vmtl-grip" };
      picture.replaceChildren(
        svg("path", { class: "vmtl-grid", d: `M${LEFT},${y}H${x.range[1]}` }),
        text(LEFT - 8, y + 4, label, { "text-anchor": "end" }),
        svg("path", { class: `vmtl-reach ${shape.class}`, d: `M${2 * at - end},${y}H${end}` }));
      middle.replaceChildren(svg("rect", { ...hit, x: at - 18, width: 18 + half }), shape.at(at, y));
      edge.replaceChildren(svg("rect", { ...hit, x: at + half, width: half + 18 }),
        svg("rect", { class: `vmtl-edge ${shape.class}`, x: end - 4, y: y - 9, width: 8, height: 18, rx: 3 }));
      onMean.say(mean(), `${format(mean())}`, MEANS);
      onSd.say(sd(), `standard deviation ${format(sd())}`, SDS);
      for (const node of [picture, middle, edge]) node.classList.toggle("vmtl-faint", faint);
    },
  };
}

const qShape = { class: "vmtl-c-ink", at: (x, y) => svg("circle", { class: "vmtl-q-mark", cx: x, cy: y, r: 6 }) };
const sourceShape = (k) => ({ class: colourClass(k), at: (x, y) => marker(k, x, y, 6.5) });

/** The panel; dragging calls `set` with the new mean, sd, means or sds. */
export function dragPanel({ names, get, set }) {
  const view = panel("densities", "Densities. Drag the marks below them (or use the arrow keys): mean, and width at one standard deviation");
  view.drawing.setAttribute("role", "group");
  const picture = svg("g", { "aria-hidden": "true" });
  const change = (trait, k) => (value) => set(trait, get(trait).map((v, j) => (j === k ? value : v)));
  const lanes = [
    lane({
      label: "q", spoken: "q", mean: () => get("mean"), sd: () => get("sd"),
      move: (v) => set("mean", v), widen: (v) => set("sd", v),
    }),
    ...names.map((name, k) => lane({
      label: name, spoken: `source ${k + 1}`, mean: () => get("means")[k], sd: () => get("sds")[k],
      move: change("means", k), widen: change("sds", k),
    })),
  ];
  view.drawing.append(picture, ...lanes.map((l) => l.root));
  function draw({ mean, sd, mixture, law }) {
    const { weights, means, sds } = mixture;
    const [width, height] = view.resize(TOP + LANE * lanes.length + 44);
    const x = linearScale(DOMAIN, [LEFT, width - 8]), bottom = height - 38;
    const density = mixtureDensity(weights, means, sds, ...DOMAIN);
    const q = density.x.map((at) => normalPdf(at, mean, sd)), sum = density.x.map((at) => normalPdf(at, law.mean, law.sd));
    const y = linearScale([0, Math.max(0.5, ...q, ...density.mixture, ...sum)], [TOP, 14]);
    const curve = (values) => line(density.x.map((at, i) => [x(at), y(values[i])]));
    picture.replaceChildren(
      svg("path", { class: "vmtl-mixture", d: `${curve(density.mixture)}V${TOP}H${x(DOMAIN[0])}Z` }),
      ...density.components.map((values, k) => svg("path", {
        d: curve(values), class: `vmtl-curve ${colourClass(k)}`, "stroke-dasharray": dashOf(k),
      })),
      svg("path", { class: "vmtl-law", d: curve(sum) }),
      svg("path", { class: "vmtl-q", d: curve(q) }),
      text(LEFT, 10, "density", { class: "vmtl-axis-label" }),
      bottomAxis(x, bottom, { ticks: [-6, -4, -2, 0, 2, 4, 6], tickFormat: (t) => String(t).replace("-", "−"), label: "value of the weight w" }));
    lanes.forEach((l, i) => l.draw(x, TOP + 6 + LANE * (i + 0.5), i ? sourceShape(i - 1) : qShape, i > 0 && weights[i - 1] === 0));
    const parts = names.map((name, k) => `source ${k + 1} with weight ${format(weights[k])}, mean ${format(means[k])}, sd ${format(sds[k])}`);
    view.describe(`q has mean ${format(mean)} and sd ${format(sd)}. ${parts.join("; ")}. ` +
      `The law of the weighted sum has mean ${format(law.mean)} and sd ${format(law.sd)}.`);
    return density;
  }
  return { ...view, draw };
}
