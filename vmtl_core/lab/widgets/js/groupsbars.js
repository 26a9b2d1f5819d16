// The evidence of each number of groups, and the memberships of every task.
import { bottomAxis, format, linearScale, linearTicks, panel, svg, text } from "./axes.js";
import { classOf, LETTERS, sharesInWords } from "./groupsplane.js";

const ROW = 25, LEFT = 88, RIGHT = 58, HEAD = 4, FLOOR = 15;
const round = (most) => {
  const power = 10 ** Math.floor(Math.log10(most));
  return power * [1, 1.5, 2, 3, 5, 7, 10].find((m) => m * power >= most * 0.9999);
};
const signed = (gain) => `${gain > 0.05 ? "+" : ""}${format(gain, 1)}`;

/** Bars of what each K has more than K = 0; what is further behind than FLOOR leaves the axis. */
export function evidencePanel() {
  const view = panel("evidence", "Evidence of K groups, in nats more than K = 0, the hierarchical model; hollow: K groups don't hold, memberships move on to another K");
  function draw({ gains, found, best, shown }) {
    const [width, height] = view.resize(HEAD + ROW * gains.length + 42);
    const right = width - RIGHT, bottom = height - 40;
    const low = Math.min(...gains), domain = [low < -0.05 ? -round(Math.min(FLOOR, Math.max(2, -low))) : 0, round(Math.max(2, ...gains))];
    const x = linearScale(domain, [LEFT, right]), ticks = linearTicks(...domain, right - LEFT > 250 ? 6 : 3);
    const rows = gains.map((gain, k) => {
      const middle = HEAD + ROW * (k + 0.5), leaves = gain < domain[0], end = x(Math.max(gain, domain[0]));
      const from = Math.min(x(0), end), wide = Math.max(1, Math.abs(end - x(0)));
      return [
        k === shown ? svg("rect", { class: "vmtl-shown", x: 0, y: middle - ROW / 2 + 1, width, height: ROW - 2, rx: 4 }) : null,
        text(LEFT - 10, middle + 4, k === best ? `best: K = ${k}` : `K = ${k}`, { "text-anchor": "end", class: k === best ? "vmtl-best" : "" }),
        svg("rect", { x: from, y: middle - 8, width: wide, height: 16, rx: 2, "data-groups": k, class: `vmtl-gain${found[k].holds ? "" : " vmtl-hollow"}${k === best ? " vmtl-top" : ""}` }),
        leaves ? svg("path", { class: "vmtl-leaves", d: `M${end + 13},${middle - 6}l-8,6l8,6` }) : null,
        text(width - 4, middle + 4, signed(gain), { class: `vmtl-number${k === best ? " vmtl-best" : ""}`, "data-groups": k, "text-anchor": "end" }),
      ];
    });
    view.drawing.replaceChildren(...rows.flat().filter(Boolean),
      svg("path", { class: "vmtl-zero", d: `M${x(0)},${HEAD}V${bottom}` }),
      bottomAxis(x, bottom, { ticks, tickFormat: (t) => String(t).replace("-", "−"), label: "nats more than K = 0" }));
    view.describe(`Evidence in nats more than without groups: ${gains.map((gain, k) => `K ${k}: ${signed(gain)}${found[k].holds ? "" : ", does not hold"}`).join("; ")}. Best: K ${best}.`);
  }
  return { ...view, draw };
}

/** A column a task, of its shares in the groups and in none; below it where it most belongs. */
export function sharesPanel() {
  const view = panel("shares", "Memberships of tasks 1 to 12; letters: the most probable group, – none");
  const TALL = 84;
  function draw({ shares, clusters }) {
    const [width] = view.resize(TALL + 40), step = (width - 8) / shares.length;
    view.drawing.replaceChildren(...shares.flatMap((row, t) => {
      const left = 4 + step * t, most = row.indexOf(Math.max(...row));
      let top = TALL + 2;
      const parts = row.map((share, rank) => {
        top -= TALL * share;
        return share < 0.005 ? null : svg("rect", { x: (left + 2).toFixed(1), y: top.toFixed(1), width: (step - 4).toFixed(1),
          height: (TALL * share).toFixed(1), class: `vmtl-share ${classOf(rank, clusters.length)}` });
      });
      const middle = left + step / 2;
      return [...parts.filter(Boolean),
        text(middle, TALL + 17, most < clusters.length ? LETTERS[most] : "–", { "text-anchor": "middle", class: "vmtl-best" }),
        text(middle, TALL + 33, String(t + 1), { "text-anchor": "middle", class: "vmtl-axis-label" })];
    }));
    view.describe(`Memberships: ${shares.map((row, t) => `task ${t + 1}: ${sharesInWords(row)}`).join("; ")}.`);
  }
  return { ...view, draw };
}
