// A table of mixing weights: one row a receiver, one column a source, the number in every cell.
import { format, hatching, panel, svg, text } from "./axes.js";

// Above this weight a cell is nearer to the accent colour than to the surface, and its number is
// drawn in the other ink: contrast is at least 4.5 everywhere (tests/browser/test_widgets.py).
const DARK_CELL = 0.73;
const BRIGHT_CELL = 0.542;
const LEFT = 64, TOP = 38;

const cut = (name, room) => (name.length > room ? `${name.slice(0, Math.max(1, room - 1))}…` : name);

/**
 * Names in at most `room` letters. Where they don't fit, the first word that all `rows` share goes
 * (“school 12” becomes “12”), of another name the number before it (“125 others” becomes “others”).
 */
export function shorten(names, rows, room) {
  if (names.every((name) => name.length <= room)) return names;
  const first = `${rows[0].split(" ")[0]} `, shared = rows.every((name) => name.startsWith(first) && name !== first);
  return names.map((name) => {
    if (shared && name.startsWith(first)) return cut(name.slice(first.length), room);
    return cut(name.length > room ? name.replace(/^\d+ /, "") : name, room);
  });
}

/** A cell whose weight is set later, by `show(weight)`; the drawing around it stays. */
function cell(x, y, side) {
  const square = svg("rect", { x, y, width: side, height: side, class: "vmtl-cell" });
  const number = side < 22 ? null : text(x + side / 2, y + side / 2 + 4, "", { "text-anchor": "middle" });
  let shown = "";
  return {
    nodes: [square, number],
    show(weight) {
      const opacity = weight.toFixed(4);
      if (opacity === shown) return;
      shown = opacity;
      square.setAttribute("fill-opacity", opacity);
      if (!number) return;
      const words = side < 32 ? format(weight).replace(/^0/, "") : format(weight);
      const inks = `vmtl-cell-number ${weight >= DARK_CELL ? "vmtl-on-dark" : ""} ${weight >= BRIGHT_CELL ? "vmtl-on-bright" : ""}`;
      if (number.textContent !== words) number.textContent = words;
      if (number.getAttribute("class") !== inks) number.setAttribute("class", inks);
    },
  };
}

/** Where the table lies in a drawing `width` wide. */
function places(view, rows, columns) {
  const [width, height] = view.resize((w) => {
    const side = Math.min(54, (w - LEFT - 4) / columns.length);
    return Math.max(236, TOP + side * rows.length + 6);
  });
  const side = Math.floor(Math.min(54, (width - LEFT - 4) / columns.length, (height - TOP - 4) / rows.length));
  return { width, side, x0: LEFT + Math.max(0, Math.floor((width - LEFT - side * columns.length) / 2) - 8) };
}

/** Heat map of `weights[t][k]`; `onRow(t)` is called when the reader clicks a row. */
export function heatMap({ title, onRow }) {
  const view = panel("heat", title);
  const [defs, hatched] = hatching();
  let laid = "", cells = [];
  view.drawing.addEventListener("click", (event) => {
    const row = event.target.closest("[data-row]");
    if (row) onRow(Number(row.dataset.row));
  });
  function layOut({ width, side, x0 }, rows, columns, chosen) {
    const heads = shorten(columns, rows, Math.max(2, Math.floor(side / 7))), names = shorten(rows, rows, 8);
    cells = rows.map((_, t) => columns.map((_, k) => (k === t ? null : cell(x0 + k * side, TOP + t * side, side))));
    const row = (t) => svg("g", { "data-row": t, class: "vmtl-row" },
      svg("rect", { x: 0, y: TOP + t * side, width, height: side, fill: "transparent" }),
      text(x0 - 8, TOP + t * side + side / 2 + 4, `${t === chosen ? "▸ " : ""}${names[t]}`,
        { "text-anchor": "end", class: t === chosen ? "vmtl-chosen-name" : undefined }),
      cells[t].map((made, k) => made?.nodes ??
        svg("rect", { x: x0 + k * side, y: TOP + t * side, width: side, height: side, fill: hatched },
          svg("title", {}, "excluded: exactly 0"))));
    view.drawing.replaceChildren(defs,
      text(x0 + (side * columns.length) / 2, 12, "source k", { "text-anchor": "middle", class: "vmtl-axis-label" }),
      text(x0 - 8, 30, "receiver t", { "text-anchor": "end", class: "vmtl-axis-label" }),
      ...heads.map((name, k) => text(x0 + (k + 0.5) * side, 30, name, { "text-anchor": "middle" })),
      ...rows.map((_, t) => row(t)),
      svg("rect", { x: x0, y: TOP, width: side * columns.length, height: side * rows.length, class: "vmtl-frame" }),
      svg("rect", { x: x0, y: TOP + chosen * side, width: side * columns.length, height: side, class: "vmtl-chosen" }));
  }
  function draw(weights, rows, columns, chosen) {
    const where = places(view, rows, columns), wanted = JSON.stringify([where, rows, columns, chosen]);
    if (wanted !== laid) { layOut(where, rows, columns, chosen); laid = wanted; }
    cells.forEach((row, t) => row.forEach((made, k) => made?.show(weights[t][k])));
    view.describe(`Heat map of one draw of the mixing weights. Row of ${rows[chosen]}: ${weights[chosen]
      .map((w, k) => `${columns[k]} ${k === chosen ? "excluded" : format(w)}`).join(", ")}.`);
  }
  return { ...view, draw };
}
