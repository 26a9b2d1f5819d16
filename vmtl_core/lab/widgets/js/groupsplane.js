// Tasks and groups in the plane of two weights; tasks are dragged, or moved by the arrow keys.
import {
  bottomAxis, colourClass, dashOf, format, leftAxis, linearScale, panel, svg, text, uniqueId,
} from "./axes.js";
import { dragHandle } from "./controls.js";
import { REACH, tidy } from "./groupstasks.js";

const RADIUS = Math.sqrt(-2 * Math.log(0.1)), LEFT = 30, TOP = 6, FOOT = 38, STEP = 0.05;
/** A smaller share of a membership isn't drawn. */
const SHOWN = 0.02;
const NONE = 6;
export const LETTERS = "ABCDEF";
export const classOf = (rank, groups) => colourClass(rank < groups ? rank : NONE);

/** Where 90 % of N(loc, covariance) lies. */
function ellipse({ x, y }, loc, [a, b, c], attributes) {
  const middle = (a + c) / 2, reach = Math.hypot((a - c) / 2, b), unit = x(1) - x(0);
  const turn = (-90 / Math.PI) * Math.atan2(2 * b, a - c);
  return svg("ellipse", {
    rx: (unit * RADIUS * Math.sqrt(middle + reach)).toFixed(1), ry: (unit * RADIUS * Math.sqrt(Math.max(middle - reach, 0))).toFixed(1),
    transform: `translate(${x(loc[0]).toFixed(1)},${y(loc[1]).toFixed(1)}) rotate(${turn.toFixed(1)})`, ...attributes,
  });
}

/** The point of that ellipse which is furthest in a direction; its top in none. */
function rim(loc, [a, b, c], [across, up]) {
  const [p, q] = Math.hypot(across, up) > 0.1 ? [across, up] : [0, 1], v = [a * p + b * q, b * p + c * q];
  const scale = RADIUS / Math.sqrt(p * v[0] + q * v[1]);
  return [loc[0] + scale * v[0], loc[1] + scale * v[1]];
}

/** A disc of sectors, one for each group and one for none, from the top clockwise. */
function disc(shares, r) {
  let from = 0;
  return shares.map((share, rank) => {
    const start = from, end = from + share;
    from = end;
    if (share < SHOWN) return null;
    const look = { class: `vmtl-share ${classOf(rank, shares.length - 1)}` };
    if (share > 1 - SHOWN) return svg("circle", { r, ...look });
    const at = (turn) => `${(r * Math.sin(2 * Math.PI * turn)).toFixed(2)},${(-r * Math.cos(2 * Math.PI * turn)).toFixed(2)}`;
    return svg("path", { ...look, d: `M0,0L${at(start)}A${r},${r} 0 ${share > 0.5 ? 1 : 0} 1 ${at(end)}Z` });
  });
}

/** The groups of a task in words. */
export const sharesInWords = (shares) => shares.map((share, rank) => [share, rank])
  .filter(([share]) => share >= 0.005).sort((one, other) => other[0] - one[0])
  .map(([share, rank]) => `${rank < shares.length - 1 ? `group ${LETTERS[rank]}` : "no group"} ${Math.round(100 * share)} %`).join(", ");

/** The panel; `move(t, [x, y])` is called where task t is dragged, `at(t)` is where it lies. */
export function planePanel({ tasks, at, move }) {
  const view = panel("plane", "Drag a task, or use the arrow keys. Disc: its memberships; filled: where its data put it (90 %); +, outline: centre of a group, where its tasks lie (90 %); dotted: the population");
  view.drawing.setAttribute("role", "group");
  const id = uniqueId("plane"), frame = svg("rect", { x: LEFT, y: TOP });
  const axes = svg("g", { "aria-hidden": "true" }), inside = svg("g", { "clip-path": `url(#${id})`, "aria-hidden": "true" });
  const letters = svg("g", { "aria-hidden": "true" }), numbers = svg("g", { "aria-hidden": "true", "pointer-events": "none" });
  let scale;
  const place = (t, x, y) => move(t, [tidy(x), tidy(y)]);
  const handles = Array.from({ length: tasks }, (_, t) => {
    const node = svg("g"), hit = svg("circle", { r: 13, class: "vmtl-grip" }), picture = svg("g");
    node.append(hit, picture);
    const control = dragHandle(node, {
      label: `task ${t + 1}`, onDrag: (px, py) => place(t, scale.x.invert(px), scale.y.invert(py)),
      onKey: (dx, dy) => place(t, at(t)[0] + (dy ? 0 : STEP * dx), at(t)[1] + STEP * dy),
    });
    return { node, picture, control };
  });
  view.drawing.append(svg("defs", {}, svg("clipPath", { id }, frame)), axes, inside, letters, ...handles.map((h) => h.node), numbers);

  function scales() {
    const [width, height] = view.resize((w) => Math.min(w - LEFT - 8, 400) + TOP + FOOT), side = height - TOP - FOOT;
    const left = LEFT + (width - 8 - LEFT - side) / 2;
    return { x: linearScale([-REACH - 0.2, REACH + 0.2], [left, left + side]), y: linearScale([-REACH - 0.2, REACH + 0.2], [TOP + side, TOP]), left, side };
  }

  function draw(now) {
    scale = scales();
    const { points, clusters, shares, mean, sites, within } = now, { x, y, left, side } = scale, count = clusters.length;
    for (const [name, value] of Object.entries({ x: left, width: side, height: side })) frame.setAttribute(name, value);
    const minus = (t) => String(t).replace("-", "−"), ticks = [-2, -1, 0, 1, 2];
    axes.replaceChildren(leftAxis(y, left, { ticks, gridTo: left + side, tickFormat: minus }),
      bottomAxis(x, TOP + side, { ticks, tickFormat: minus, label: "first weight (across), second weight (up)" }));
    const widened = ([a, b, c], more) => [a + more, b, c + more];
    const mostly = shares.map((row) => row.indexOf(Math.max(...row)));
    inside.replaceChildren(
      ellipse(scale, mean.loc, widened(mean.covariance, 1), { class: "vmtl-population" }),
      ...sites.map(({ covariance }, t) => ellipse(scale, points[t], covariance, { class: `vmtl-said ${classOf(mostly[t], count)}` })),
      ...clusters.map(({ loc, covariance }, rank) => ellipse(scale, loc, widened(covariance, within), { class: `vmtl-group ${colourClass(rank)}`, "stroke-dasharray": dashOf(rank) })));
    letters.replaceChildren(...clusters.flatMap(({ loc, covariance }, rank) => {
      const [px, py] = rim(loc, widened(covariance, within), [loc[0] - mean.loc[0], loc[1] - mean.loc[1]]);
      const at = { x: Math.min(left + side - 8, Math.max(left + 8, x(px))), y: Math.min(TOP + side - 8, Math.max(TOP + 8, y(py))) };
      return [svg("path", { class: `vmtl-centre ${colourClass(rank)}`, d: `M${x(loc[0]) - 6},${y(loc[1])}h12m-6,-6v12` }),
        text(at.x, at.y + 5, LETTERS[rank], { class: "vmtl-letter", "text-anchor": "middle" })];
    }));
    handles.forEach(({ node, picture, control }, t) => {
      node.setAttribute("transform", `translate(${x(points[t][0]).toFixed(1)},${y(points[t][1]).toFixed(1)})`);
      picture.replaceChildren(svg("circle", { r: 8, class: "vmtl-ring" }), ...disc(shares[t], 6.5).filter(Boolean));
      control.say(points[t][0], `across ${format(points[t][0])}, up ${format(points[t][1])}; ${sharesInWords(shares[t])}`, [-REACH, REACH]);
    });
    numbers.replaceChildren(...points.map(([px, py], t) => {
      const late = px > REACH - 0.3;
      return text(x(px) + (late ? -9 : 9), y(py) - 5, String(t + 1), { class: "vmtl-name", "text-anchor": late ? "end" : "start" });
    }));
    view.describe(count ? `${count} ${count > 1 ? "groups" : "group"}: ${clusters.map(({ loc, size }, rank) => `${LETTERS[rank]} of ${format(size, 1)} tasks ` +
      `about ${format(loc[0])}, ${format(loc[1])}`).join("; ")}.` : `No group; the population's mean is ${format(mean.loc[0])}, ${format(mean.loc[1])}.`);
  }
  return { ...view, draw };
}
