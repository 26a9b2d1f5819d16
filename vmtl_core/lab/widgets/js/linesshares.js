// Small tables of alpha and phi: a row a receiver, a column a source.
import { format, panel, say, svg, text } from "./axes.js";
import { paint } from "./linespoints.js";

const LEFT = 22, TOP = 20, TALL = 25, DARKEST = 0.45;
const BASE = "p₀";
const nameOf = (k, T, last = BASE) => (k < T ? String(k + 1) : last);
const short = (weight) => (weight > 0.995 ? "1" : format(weight).replace(/^0/, ""));

/** The panel of `now[name]`, with a title for mixtures and one for groups; `onRow(t)` where the reader clicks a row. */
export function sharesPanel(name, titles, onRow) {
  const view = panel(name, titles.mixture);
  let laid = "", cells = [];
  view.drawing.addEventListener("click", (event) => {
    const row = event.target.closest("[data-row]");
    if (row) onRow(Number(row.dataset.row));
  });

  function layOut(T, columns, wide, last) {
    const cell = (t, k) => {
      const box = { x: LEFT + k * wide, y: TOP + t * TALL, width: wide - 2, height: TALL - 2, rx: 2 };
      if (k === t) return [svg("rect", { ...box, class: "vmtl-none" })];
      const square = svg("rect", { ...box, class: "vmtl-weight" });
      const number = text(box.x + wide / 2 - 1, box.y + TALL / 2 + 3, "", { "text-anchor": "middle", class: "vmtl-cell-number" });
      cells.push({ t, k, square, number });
      return [square, number];
    };
    cells = [];
    view.drawing.replaceChildren(
      ...Array.from({ length: columns }, (_, k) => text(LEFT + (k + 0.5) * wide - 1, 13, nameOf(k, T, last), { "text-anchor": "middle", class: "vmtl-axis-label" })),
      ...Array.from({ length: T }, (_, t) => svg("g", { "data-row": t, class: "vmtl-receiver" },
        svg("rect", { x: 0, y: TOP + t * TALL - 1, width: LEFT + columns * wide, height: TALL, class: "vmtl-row-ground" }),
        text(LEFT - 8, TOP + t * TALL + TALL / 2 + 3, nameOf(t, T), { "text-anchor": "end" }),
        Array.from({ length: columns }, (_, k) => cell(t, k)))));
  }

  function draw(now) {
    const rows = now[name], T = rows.length, columns = rows[0].length, grouped = now.sources === "groups", last = grouped ? "alone" : BASE;
    const [width] = view.resize(TOP + TALL * T + 4), wide = Math.min(46, Math.floor((width - LEFT - 2) / columns));
    say(view.caption, titles[grouped ? "groups" : "mixture"]);
    if (laid !== `${T} ${columns} ${wide} ${last}`) {
      laid = `${T} ${columns} ${wide} ${last}`;
      layOut(T, columns, wide, last);
    }
    for (const { t, k, square, number } of cells) {
      paint(square, { "fill-opacity": now.restless ? "0" : (DARKEST * rows[t][k]).toFixed(3) });
      const words = now.restless ? "–" : short(rows[t][k]);
      if (number.textContent !== words) number.textContent = words;
    }
    for (const row of view.drawing.querySelectorAll("[data-row]")) row.classList.toggle("vmtl-chief", Number(row.dataset.row) === now.chosen);
    if (now.restless) view.describe(`${name}: there is no fit to tell of.`);
    else view.describe(`${grouped ? titles.groups : `${name}, what each task takes from whom`}. ${rows.map((row, t) => `Task ${t + 1}: ${row.map((w, k) => [w, k])
      .filter(([, k]) => k !== t).map(([w, k]) => `${k < T ? `task ${k + 1}` : grouped ? last : "base prior"} ${format(w)}`).join(", ")}`).join("; ")}.`);
  }
  return { ...view, draw };
}
