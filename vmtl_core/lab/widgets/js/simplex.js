// Many draws of one row of mixing weights: on the triangle for three sources, else in strips.
import { dots, format, marker, panel, svg, text } from "./axes.js";
import { hash32 } from "./math.js";

const OUTLINES = {
  draw: "M-7,0a7,7 0 1 0 14,0a7,7 0 1 0 -14,0Z", mean: "M-7,0h14M0,-7v14", pi: "M0,-7l7,7l-7,7l-7,-7Z",
};

/** One of the three marks, with a halo of the surface's colour so that it shows among the dots. */
const mark = (kind, [x, y]) => svg("g", { transform: `translate(${x.toFixed(2)},${y.toFixed(2)})` },
  ["halo", kind].map((name) => svg("path", { d: OUTLINES[kind], class: `vmtl-mark-${name}` })));

const key = (y) => [["draw", "draw in the table", 8], ["mean", "mean of draws", 137], ["pi", "π", 259]].map(
  ([kind, words, x]) => [mark(kind, [x, y - 4]), text(x + 13, y, words)]);

function triangle(view, { samples, mean, pi, largest, names, sources }) {
  const [width, height] = view.resize(262);
  const side = Math.min(width - 72, 220);
  const tall = side * Math.sqrt(3) / 2, bottom = height - 50, middle = width / 2;
  const corners = [[middle - side / 2, bottom], [middle + side / 2, bottom], [middle, bottom - tall]];
  const place = (w, at = 0) => [0, 1].map((d) => corners.reduce((sum, c, k) => sum + w[at + k] * c[d], 0));
  const points = Array.from({ length: samples.length / 3 }, (_, i) => place(samples, 3 * i));
  const label = (k) => {
    const [x, y] = corners[k];
    const words = `${names[k]} · ${Math.round(100 * largest[k])} %`;
    const half = words.length * 3.3;
    const at = Math.min(width - half - 10, Math.max(half + 16, x));
    const line = k === 2 ? y - 10 : y + 21;
    return [marker(sources[k], at - half - 7, line - 4), text(at + 3, line, words, { "text-anchor": "middle" })];
  };
  view.drawing.replaceChildren(
    svg("path", { d: `M${corners.map((c) => c.map((v) => v.toFixed(2))).join("L")}Z`, class: "vmtl-triangle" }),
    svg("path", { d: dots(points), class: "vmtl-dots" }),
    mark("pi", place(pi)), mark("mean", place(mean)), mark("draw", points[0]),
    ...[0, 1, 2].flatMap(label), ...key(height - 6).flat());
}

function strips(view, { samples, mean, pi, largest, names, sources }) {
  const n = names.length;
  const [width, height] = view.resize(Math.max(262, 54 + 26 * n));
  const left = 74, right = width - 50, bottom = height - 44, step = bottom / n;
  const x = (w) => left + w * (right - left);
  const row = (k) => {
    const y = step * (k + 0.5), half = Math.max(0, Math.min(12, step / 2 - 4));
    const points = Array.from({ length: samples.length / n }, (_, i) =>
      [x(samples[i * n + k]), y + half * (hash32(i * n + k) / 2 ** 31 - 1)]);
    return [
      svg("path", { d: `M${left},${y}H${right}`, class: "vmtl-grid" }),
      svg("path", { d: dots(points), class: "vmtl-dots vmtl-fine" }),
      marker(sources[k], 8, y), text(18, y + 4, names[k].slice(0, 9)),
      text(width, y + 4, `${Math.round(100 * largest[k])} %`, { "text-anchor": "end" }),
      mark("pi", [x(pi[k]), y]), mark("mean", [x(mean[k]), y]), mark("draw", points[0]),
    ];
  };
  view.drawing.replaceChildren(...names.flatMap((_, k) => row(k)), ...key(height - 6).flat(),
    text(left, bottom + 12, "0", { "text-anchor": "middle" }),
    text(right, bottom + 12, "1", { "text-anchor": "middle" }));
}

/** Panel of draws. `draw({samples, mean, pi, largest, names, sources})`, samples flat (draws, n). */
export function drawsPanel() {
  const view = panel("draws", "");
  return {
    ...view,
    draw(shown, receiver) {
      const count = shown.samples.length / shown.names.length;
      view.caption.textContent =
        `${count} draws of the weights of ${receiver}; in per cent: how often a source is the largest`;
      (shown.names.length === 3 ? triangle : strips)(view, shown);
      view.describe(`${count} draws. ${shown.names.map((name, k) =>
        `${name}: mean ${format(shown.mean[k])}, largest in ${Math.round(100 * shown.largest[k])} %`).join("; ")}.`);
    },
  };
}
