// Scales, ticks, paths and the few SVG helpers that the figures of the widgets share.

const SVG = "http://www.w3.org/2000/svg";
let ids = 0;

/** A fresh id, so that two views on one page never share a pattern or a label. */
export const uniqueId = (name) => `vmtl-${name}-${++ids}`;

function element(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

export const html = (tag, attributes = {}, ...children) =>
  element(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) =>
  element(document.createElementNS(SVG, tag), attributes, children);

/** Sets the text of `node`. The same text again would make the browser lay out the page. */
export function say(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

function scaleOf([d0, d1], [r0, r1], forward, back) {
  const [a, b] = [forward(d0), forward(d1)];
  const scale = (x) => r0 + ((forward(x) - a) / (b - a)) * (r1 - r0);
  scale.invert = (r) => back(a + ((r - r0) / (r1 - r0)) * (b - a));
  scale.domain = [d0, d1];
  scale.range = [r0, r1];
  return scale;
}

/** Maps data in `domain` to pixels in `range`; `.invert` goes back. */
export const linearScale = (domain, range) => scaleOf(domain, range, (x) => x, (x) => x);
export const logScale = (domain, range) => scaleOf(domain, range, Math.log, Math.exp);

const tidy = (x) => Number(x.toPrecision(12));

/** At most about `count` round numbers that span [low, high]. */
export function linearTicks(low, high, count = 5) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => tidy((first + i) * step));
}

/** The powers of ten in [low, high]. */
export function logTicks(low, high) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => tidy(10 ** (first + i)));
}

/** A number for people: fixed digits, a true minus sign. */
export const format = (value, digits = 2) =>
  value.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−");

/** A temperature or another positive number over decades, with about three figures. */
export const formatLog = (value) => format(value, value < 9.95 ? 2 : 1);

/** To a tenth of a pixel: finer can't be seen, and long numbers take time to write and to read. */
const tenth = (v) => Math.round(v * 10) / 10;

/** SVG path through points [[x, y], ...]. */
export const line = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${tenth(x)},${tenth(y)}`).join("");

/** One path that holds a round dot for each point (drawn by stroke-linecap: round). */
export const dots = (points) =>
  points.map(([x, y]) => `M${tenth(x)},${tenth(y)}h0`).join("");

/** What a source looks like: never by colour alone, also by dash and by marker. */
const DASHES = ["7 3", "2 3", "9 3 2 3", "5 5", "12 3", "1 4", "9 3 2 3 2 3", "4 2"];
const SHAPES = ["circle", "square", "triangle", "diamond", "down", "cross", "plus", "bar"];
export const dashOf = (k) => DASHES[k % DASHES.length];
export const colourClass = (k) => `vmtl-c${k % DASHES.length}`;

const OUTLINES = {
  circle: (r) => `M${-r},0a${r},${r} 0 1 0 ${2 * r},0a${r},${r} 0 1 0 ${-2 * r},0Z`,
  square: (r) => `M${-r * 0.9},${-r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}Z`,
  triangle: (r) => `M0,${-r * 1.15}L${r * 1.1},${r * 0.8}H${-r * 1.1}Z`,
  diamond: (r) => `M0,${-r * 1.3}L${r * 1.1},0L0,${r * 1.3}L${-r * 1.1},0Z`,
  down: (r) => `M0,${r * 1.15}L${r * 1.1},${-r * 0.8}H${-r * 1.1}Z`,
  cross: (r) => `M${-r},${-r}L${r},${r}M${r},${-r}L${-r},${r}`,
  plus: (r) => `M${-r * 1.2},0H${r * 1.2}M0,${-r * 1.2}V${r * 1.2}`,
  bar: (r) => `M${-r * 0.5},${-r * 1.2}h${r}v${r * 2.4}h${-r}Z`,
};

/** The marker of source k at (x, y). */
export const marker = (k, x, y, r = 4.5) =>
  svg("path", {
    class: `vmtl-marker ${colourClass(k)}`,
    d: OUTLINES[SHAPES[k % SHAPES.length]](r),
    transform: `translate(${x.toFixed(2)},${y.toFixed(2)})`,
  });

export const text = (x, y, content, attributes = {}) =>
  svg("text", { x: x.toFixed(2), y: y.toFixed(2), ...attributes }, content);

/** Horizontal axis at height y: line, ticks, tick labels, and a label below. */
export function bottomAxis(scale, y, { ticks, label, tickFormat = String }) {
  const [x0, x1] = scale.range;
  return svg("g", { class: "vmtl-axis" },
    svg("path", { d: `M${x0},${y}H${x1}` + ticks.map((t) => `M${scale(t).toFixed(2)},${y}v4`).join("") }),
    ticks.map((t) => text(scale(t), y + 16, tickFormat(t), { "text-anchor": "middle" })),
    label ? text((x0 + x1) / 2, y + 32, label, { "text-anchor": "middle", class: "vmtl-axis-label" }) : null);
}

/** Vertical axis at x: ticks with light grid lines to `gridTo`. */
export function leftAxis(scale, x, { ticks, gridTo, tickFormat = String }) {
  const at = (t) => scale(t).toFixed(2);
  return svg("g", { class: "vmtl-axis" },
    gridTo ? svg("path", { class: "vmtl-grid", d: ticks.map((t) => `M${x},${at(t)}H${gridTo}`).join("") }) : null,
    ticks.map((t) => text(x - 6, scale(t) + 4, tickFormat(t), { "text-anchor": "end" })));
}

/** Moves label heights apart to at least `gap`, keeping their order and staying in [low, high]. */
export function spread(heights, gap, low, high) {
  const order = heights.map((_, i) => i).sort((i, j) => heights[i] - heights[j]);
  const out = heights.slice();
  order.forEach((i, r) => { out[i] = Math.max(out[i], r ? out[order[r - 1]] + gap : low); });
  order.reverse().forEach((i, r) => { out[i] = Math.min(out[i], r ? out[order[r - 1]] - gap : high); });
  return out;
}

/** Diagonal hatching for what is excluded; returns [<defs>, "url(#...)"]. */
export function hatching() {
  const id = uniqueId("hatch");
  const pattern = svg("pattern", {
    id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)",
  }, svg("path", { d: "M0,0V6", class: "vmtl-hatch" }));
  return [svg("defs", {}, pattern), `url(#${id})`];
}

/** A titled drawing; `resize` makes one unit of it one pixel, so that text never shrinks. */
export function panel(name, title) {
  const id = uniqueId(name);
  const drawing = svg("svg", { role: "img", class: "vmtl-drawing" });
  const caption = html("div", { id, class: "vmtl-caption" }, title);
  const root = html("div", { class: `vmtl-panel vmtl-panel-${name}`, role: "group", "aria-labelledby": id },
    caption, drawing);
  let seen = 0;      // kept, because asking for it while drawing makes the browser lay out the page
  new ResizeObserver(([entry]) => { seen = entry.contentRect.width; }).observe(root);
  return {
    root, drawing, caption,
    resize(height) {
      const width = Math.max(200, Math.floor(seen || root.clientWidth || 300));
      const tall = typeof height === "function" ? height(width) : height;
      const box = `0 0 ${width} ${tall}`;
      if (drawing.getAttribute("viewBox") !== box) {      // the same again would lay out the drawing
        drawing.setAttribute("viewBox", box);
        drawing.setAttribute("height", tall);
      }
      return [width, tall];
    },
    /** What a screen reader is told in place of the picture. */
    describe(words) { drawing.setAttribute("aria-label", words); },
  };
}
