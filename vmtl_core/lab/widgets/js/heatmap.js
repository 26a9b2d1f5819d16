// A table of mixing weights: one row a receiver, one column a source, the number in every cell.
import { format, hatching, panel, svg, text } from "./axes.js";

// Above this weight a cell is nearer to the accent colour than to the surface, and its number is
// drawn in the other ink: contrast is at least 4.5 everywhere (tests/browser/test_widgets.py).
const DARK_CELL = 0.73;
const BRIGHT_CELL = 0.542;

const shorten = (name, room) => (name.length > room ? `${name.slice(0, Math.max(1, room - 1))}…` : name);

function cell(x, y, side, weight) {
  const inks = `${weight >= DARK_CELL ? "vmtl-on-dark" : ""} ${weight >= BRIGHT_CELL ? "vmtl-on-bright" : ""}`;
  const words = side < 32 ? format(weight).replace(/^0/, "") : format(weight);
  return [
    svg("rect", { x, y, width: side, height: side, class: "vmtl-cell", "fill-opacity": weight.toFixed(4) }),
    side < 22 ? null : text(x + side / 2, y + side / 2 + 4, words,
      { "text-anchor": "middle", class: `vmtl-cell-number ${inks}` }),
  ];
}

/** Heat map of `weights[t][k]`; `onRow(t)` is called when the reader clicks a row. */
export function heatMap({ title, onRow }) {
  const view = panel("heat", title);
  const [defs, hatched] = hatching();
  view.drawing.addEventListener("click", (event) => {
    const row = event.target.closest("[data-row]");
    if (row) onRow(Number(row.dataset.row));
  });
  function draw(weights, rows, columns, chosen) {
    const left = 64, top = 38;
    const [width, height] = view.resize((w) => {
      const side = Math.min(54, (w - left - 4) / columns.length);
      return Math.max(236, top + side * rows.length + 6);
    });
    const side = Math.floor(Math.min(54, (width - left - 4) / columns.length, (height - top - 4) / rows.length));
    const x0 = left + Math.max(0, Math.floor((width - left - side * columns.length) / 2) - 8);
    const room = Math.max(2, Math.floor(side / 7));
    const row = (t) => svg("g", { "data-row": t, class: "vmtl-row" },
      svg("rect", { x: 0, y: top + t * side, width, height: side, fill: "transparent" }),
      text(x0 - 8, top + t * side + side / 2 + 4, `${t === chosen ? "▸ " : ""}${shorten(rows[t], 9)}`,
        { "text-anchor": "end", class: t === chosen ? "vmtl-chosen-name" : undefined }),
      weights[t].map((w, k) => k === t
        ? svg("rect", { x: x0 + k * side, y: top + t * side, width: side, height: side, fill: hatched },
          svg("title", {}, "excluded: exactly 0"))
        : cell(x0 + k * side, top + t * side, side, w)));
    view.drawing.replaceChildren(defs,
      text(x0 + (side * columns.length) / 2, 12, "source k", { "text-anchor": "middle", class: "vmtl-axis-label" }),
      text(x0 - 8, 30, "receiver t", { "text-anchor": "end", class: "vmtl-axis-label" }),
      ...columns.map((name, k) => text(x0 + (k + 0.5) * side, 30, shorten(name, room), { "text-anchor": "middle" })),
      ...rows.map((_, t) => row(t)),
      svg("rect", { x: x0, y: top, width: side * columns.length, height: side * rows.length, class: "vmtl-frame" }),
      svg("rect", { x: x0, y: top + chosen * side, width: side * columns.length, height: side, class: "vmtl-chosen" }));
    view.describe(`Heat map of one draw of the mixing weights. Row of ${rows[chosen]}: ${weights[chosen]
      .map((w, k) => `${columns[k]} ${k === chosen ? "excluded" : format(w)}`).join(", ")}.`);
  }
  return { ...view, draw };
}
