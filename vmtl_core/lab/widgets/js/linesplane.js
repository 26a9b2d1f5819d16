// The plane of the data: every task's points and line, beside learning alone and pooling.
import { bottomAxis, colourClass, format, leftAxis, line, linearScale, panel, say, svg, uniqueId } from "./axes.js";
import { paint, pointsLayer } from "./linespoints.js";
import { X, Y } from "./linesstate.js";

const LEFT = 26, TOP = 6, FOOT = 36, EDGE = 0.2;
/** Of a normal distribution, 90 % lie within so many standard deviations. */
export const NINETY = 1.6448536269514722;
const GRID = Array.from({ length: 41 }, (_, i) => -X - EDGE + ((2 * X + 2 * EDGE) * i) / 40);
const minus = (t) => String(t).replace("-", "−");

/** The value of a line at x, and the variance of that value. */
export const valueAt = ({ mean }, x) => mean[0] + mean[1] * x;
export const varianceAt = ({ covariance: [[a, b], [, c]] }, x) => a + 2 * b * x + c * x * x;

const straight = ({ x, y }, law) => line([GRID[0], GRID.at(-1)].map((at) => [x(at), y(valueAt(law, at))]));
function band({ x, y }, law) {
  const reach = GRID.map((at) => NINETY * Math.sqrt(varianceAt(law, at)));
  const edge = (sign) => GRID.map((at, i) => [x(at), y(valueAt(law, at) + sign * reach[i])]);
  return `${line([...edge(1), ...edge(-1).reverse()])}Z`;
}

/** Keeps as many paths in a layer as were asked for at most; those left over are hidden. */
function paths(layer) {
  const made = [];
  return (count) => {
    while (made.length < count) layer.append(made[made.push(svg("path")) - 1]);
    made.forEach((node, i) => node.toggleAttribute("hidden", i >= count));
    return made;
  };
}

function scales(view) {
  const [width, height] = view.resize((w) => Math.round(Math.max(250, Math.min(430, 0.72 * w))));
  const right = width - 6, bottom = height - FOOT;
  return {
    x: linearScale([-X - EDGE, X + EDGE], [LEFT, right]), y: linearScale([-Y - EDGE, Y + EDGE], [bottom, TOP]),
    left: LEFT, top: TOP, right, bottom,
  };
}

function axesOf({ x, y, right, bottom }) {
  return [leftAxis(y, LEFT, { ticks: [-3, -2, -1, 0, 1, 2, 3], gridTo: right, tickFormat: minus }),
    bottomAxis(x, bottom, { ticks: [-2, -1, 0, 1, 2], tickFormat: minus, label: "input x (across), output y (up)" })];
}

/** The line in words. */
const words = ({ mean }) => `${format(mean[0])} ${mean[1] < 0 ? "−" : "+"} ${format(Math.abs(mean[1]))} x`;
const count = (rows) => `${rows.length} ${rows.length === 1 ? "point" : "points"}`;

/** The panel; see `pointsLayer` for `state` and `change`. */
export function dataPanel({ state, change }) {
  const view = panel("data", ""), id = uniqueId("data"), frame = svg("rect", { x: LEFT, y: TOP });
  const layer = (attributes = {}) => svg("g", { "aria-hidden": "true", ...attributes });
  const axes = layer(), inside = layer({ "clip-path": `url(#${id})` }), below = svg("g"), hints = svg("g"), above = svg("g");
  const aloneBand = svg("path"), pooled = svg("path", { class: "vmtl-pooled" });
  inside.append(below, aloneBand, hints, pooled, above);
  const bands = paths(below), singles = paths(hints), lines = paths(above);
  let law;
  const points = pointsLayer({ drawing: view.drawing, state, change, value: (x) => valueAt(law, x) });
  view.drawing.setAttribute("role", "group");
  view.drawing.classList.add("vmtl-plane");
  view.drawing.append(svg("defs", {}, svg("clipPath", { id }, frame)), axes, inside, points.marks, points.handle);
  let laid = "";

  function draw(now) {
    const { tasks, chosen, q, alone, pooled: all } = now, scale = scales(view), size = `${scale.right} ${scale.bottom}`;
    law = q[chosen];
    if (size !== laid) {
      laid = size;
      paint(frame, { width: String(scale.right - LEFT), height: String(scale.bottom - TOP) });
      axes.replaceChildren(...axesOf(scale));
    }
    const some = [bands, singles, lines].map((ask) => ask(q.length));
    q.forEach((one, t) => {
      const look = `${colourClass(t)}${t === chosen ? " vmtl-chief" : ""}`;
      paint(some[0][t], { d: band(scale, one), class: `vmtl-band ${look}` });
      paint(some[1][t], { d: straight(scale, alone[t]), class: `vmtl-single ${look}` });
      paint(some[2][t], { d: straight(scale, one), class: `vmtl-line ${look}` });
    });
    paint(aloneBand, { d: band(scale, alone[chosen]), class: `vmtl-alone-band ${colourClass(chosen)}` });
    paint(pooled, { d: straight(scale, all) });
    points.draw(now, scale);
    say(view.caption, `Drag a point; click an empty place to add one to task ${chosen + 1}. Bands: where a line is with 90 %. Dashed: each task alone; dotted: all tasks pooled`);
    if (now.restless) view.describe("Lines: there is no fit to tell of.");
    else view.describe(`Lines. ${q.map((one, t) => `Task ${t + 1}, ${count(tasks[t])}: ${words(one)}, alone ${words(alone[t])}`).join("; ")}. Pooled: ${words(all)}.`);
  }
  return { ...view, draw, add: points.add, remove: points.remove };
}
