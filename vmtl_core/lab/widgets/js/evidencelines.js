// The points, and where q, the exact posterior and the prior put the line.
import { bottomAxis, format, leftAxis, line, linearScale, linearTicks, panel, svg, text, uniqueId } from "./axes.js";
import { sdOfLine } from "./evidencemath.js";

const Z90 = 1.6448536269514722, X = [-3.2, 3.2], POINTS = 65;
const GRID = Array.from({ length: POINTS }, (_, i) => X[0] + ((X[1] - X[0]) * i) / (POINTS - 1));
const minus = (t) => String(t).replace("-", "−");

export function linesPanel() {
  const view = panel("lines", "Lines, 90 % bands: q dashed about its mean, exact posterior filled, prior dotted");
  const id = uniqueId("lines"), frame = svg("rect", { y: 8 }), defs = svg("defs", {}, svg("clipPath", { id }, frame));
  function draw({ x: xs, y: ys, q, laws, shift }) {
    const [width, height] = view.resize(250), left = 34, right = width - 8, bottom = height - 38;
    const reach = Math.max(1, Math.ceil(1.5 * Math.max(...ys.map(Math.abs)))), ends = [Math.min(X[0], ...xs), Math.max(X[1], ...xs)];
    const x = linearScale(ends, [left, right]), y = linearScale([-reach, reach], [bottom, 8]);
    for (const [name, value] of Object.entries({ x: left, width: right - left, height: bottom - 8 })) frame.setAttribute(name, value);
    const centre = ({ mean }, at) => mean[0] + mean[1] * (at + shift);
    const edge = (law, sign) => GRID.map((at) => [x(at), y(centre(law, at) + sign * Z90 * sdOfLine(law, at, shift))]);
    const both = (law) => line(edge(law, 1)) + line(edge(law, -1));
    const closed = (law) => `${line(edge(law, 1))}${line(edge(law, -1).reverse()).replace("M", "L")}Z`;
    const origin = -shift;
    view.drawing.replaceChildren(defs,
      leftAxis(y, left, { ticks: linearTicks(-reach, reach, 4), gridTo: right, tickFormat: minus }),
      svg("g", { "clip-path": `url(#${id})` },
        svg("path", { class: "vmtl-exact", d: closed(laws.posterior) }),
        svg("path", { class: "vmtl-prior", d: both(laws.prior) }),
        svg("path", { class: "vmtl-q-band", d: both(q) }),
        svg("path", { class: "vmtl-q", d: line(GRID.map((at) => [x(at), y(centre(q, at))])) })),
      svg("path", { class: "vmtl-data", d: xs.map((v, i) => `M${x(v).toFixed(1)},${y(ys[i]).toFixed(1)}h0`).join("") }),
      svg("path", { class: "vmtl-origin", d: `M${x(origin)},${bottom}V8` }),
      text(x(origin) + (origin > 0 ? -5 : 5), 18, "w₀ is the height here", { "text-anchor": origin > 0 ? "end" : "start", class: "vmtl-axis-label vmtl-here" }),
      bottomAxis(x, bottom, { ticks: linearTicks(...ends, 6), tickFormat: minus, label: "input x" }));
    view.describe(`${xs.length} points. At x = ${format(origin)}, where the intercept is measured: q ${format(q.mean[0])} with sd ${format(Math.sqrt(q.covariance[0]))}, ` +
      `prior sd ${format(sdOfLine(laws.prior, origin, shift))}; at x = 0 the prior's sd is ${format(sdOfLine(laws.prior, 0, shift))}.`);
  }
  return { ...view, draw };
}
