// Gaussians in the plane of two weights, as the ellipses that hold 90% of them.
import {
  bottomAxis, colourClass, dashOf, format, leftAxis, line, linearScale, linearTicks, marker, panel, say, svg,
  text, uniqueId,
} from "./axes.js";

export const RADIUS = Math.sqrt(-2 * Math.log(0.1));
const LEFT = 34, TOP = 8, FOOT = 38;

/** Centre and half axes, [x, y, a, b], in the two coordinates `pair`. */
export const ellipse = (mean, sd, [i, j]) => [mean[i], mean[j], RADIUS * sd[i], RADIUS * sd[j]];

/** The smallest [[low, high], [low, high]] around ellipses and points [x, y, 0, 0]. */
export function around(shapes) {
  return [0, 1].map((d) => [
    Math.min(...shapes.map((s) => s[d] - s[d + 2])), Math.max(...shapes.map((s) => s[d] + s[d + 2])),
  ]);
}

/** Scales of equal unit over `box`, centred in the drawing. */
function scales(view, box) {
  const [[x0, x1], [y0, y1]] = box, ratio = (y1 - y0) / (x1 - x0);
  const [width, height] = view.resize((w) => Math.round(Math.min(330, (w - LEFT - 8) * ratio + TOP + FOOT)));
  const right = width - 8, bottom = height - FOOT;
  const unit = Math.min((right - LEFT) / (x1 - x0), (bottom - TOP) / (y1 - y0));
  const middle = (x0 + x1) / 2, half = (right - LEFT) / unit / 2;
  return { x: linearScale([middle - half, middle + half], [LEFT, right]), y: linearScale([y0, y0 + (bottom - TOP) / unit], [bottom, TOP]), right, bottom };
}

/** What the axes are, in the words that have room. */
function axisLabel([across, up], room) {
  const full = `weight of ${across} (across), of ${up} (up)`;
  return full.length * 6.2 < room ? full : `${across} (across), ${up} (up)`;
}

function frame({ x, y, right, bottom }, labels) {
  const minus = (t) => String(t).replace("-", "−");
  return [
    leftAxis(y, LEFT, { ticks: linearTicks(...y.domain, 5), gridTo: right, tickFormat: minus }),
    bottomAxis(x, bottom, { ticks: linearTicks(...x.domain, 7), tickFormat: minus, label: axisLabel(labels, right - LEFT) }),
  ];
}

const outline = ({ x, y }, [cx, cy, a, b], attributes) => svg("ellipse", {
  cx: x(cx).toFixed(2), cy: y(cy).toFixed(2), rx: (x(cx + a) - x(cx)).toFixed(2), ry: (y(cy) - y(cy + b)).toFixed(2), ...attributes,
});

const truthMark = ({ x, y }, [px, py], k) => svg("g", { class: "vmtl-truth" }, marker(k, x(px), y(py), 6));

/** A panel whose drawing is cut at its frame. */
function planePanel(name) {
  const view = panel(name, ""), id = uniqueId("frame");
  const cut = svg("rect", { x: LEFT, y: 0 }), inside = svg("g", { "clip-path": `url(#${id})` }), axes = svg("g");
  view.drawing.append(svg("defs", {}, svg("clipPath", { id }, cut)), axes, inside);
  return {
    ...view,
    paint(box, labels, shapes) {
      const at = scales(view, box);
      cut.setAttribute("width", at.right - LEFT);
      cut.setAttribute("height", at.bottom);
      axes.replaceChildren(...frame(at, labels));
      inside.replaceChildren(...shapes(at).flat(Infinity).filter(Boolean));
    },
  };
}

/** Posteriors of all tasks, the way their means have come, and the true weights as hollow marks. */
export function posteriorsPanel() {
  const view = planePanel("posteriors");
  function draw({ ellipses, trails, truth, names, labels, box }) {
    say(view.caption, `Posteriors of the tasks: 90% ellipses and the way of their means${truth ? "; hollow marks: the true weights" : ""}`);
    view.paint(box, labels, (at) => ellipses.map((e, t) => [
      outline(at, e, { class: `vmtl-ellipse ${colourClass(t)}`, "stroke-dasharray": dashOf(t) }),
      svg("path", { class: `vmtl-trail ${colourClass(t)}`, d: line(trails[t].map(([px, py]) => [at.x(px), at.y(py)])) }),
      truth && truthMark(at, truth[t], t),
      marker(t, at.x(e[0]), at.y(e[1]), 5),
    ]));
    view.describe(`Posteriors: ${names.map((name, t) => `${name} mean ${format(ellipses[t][0])}, ${format(ellipses[t][1])}, ` +
      `half axes ${format(ellipses[t][2])}, ${format(ellipses[t][3])}`).join("; ")}.`);
  }
  return { ...view, draw };
}

/** The components of one task's prior, the more filled the more they weigh, and its posterior. */
export function priorPanel() {
  const view = planePanel("prior");
  function draw({ components, alpha, own, task, names, labels, box }, receiver) {
    say(view.caption, `Prior of ${receiver}: its components, fuller where α is larger; thick: the posterior of ${receiver}`);
    const others = components.map((_, k) => k).filter((k) => k !== task);
    view.paint(box, labels, (at) => [
      others.map((k) => outline(at, components[k], {
        class: `vmtl-component ${colourClass(k)}`, "stroke-dasharray": dashOf(k), "fill-opacity": (0.4 * alpha[k]).toFixed(4),
      })),
      outline(at, own, { class: "vmtl-own" }),
      others.map((k) => marker(k, at.x(components[k][0]), at.y(components[k][1]), 5)),
    ]);
    view.describe(`Prior of ${receiver}: ${others.map((k) => `${format(alpha[k])} of ${names[k]} at ${format(components[k][0])}, ` +
      `${format(components[k][1])}`).join("; ")}.`);
  }
  return { ...view, draw };
}
