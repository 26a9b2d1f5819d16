// The likeliest partitions of the tasks: who shares a group, boxed, with a bar for its chance.
import { format, html, marker, panel, say, svg, text } from "./axes.js";

const ROW = 27, STEP = 19, GAP = 7, MOST = 6, FAINT = 0.005, NUMBER = 46;
const percent = (share) => `${format(100 * share, share < 0.095 ? 1 : 0)}\u00a0%`;

/** A partition in words. */
export function partitionName(blocks) {
  const listed = (tasks) => `tasks ${tasks.slice(0, -1).map((t) => t + 1).join(", ")} and ${tasks.at(-1) + 1}`;
  const named = blocks.filter((tasks) => tasks.length > 1).map((tasks) => `${listed(tasks)} together`);
  const alone = blocks.filter((tasks) => tasks.length === 1).flat();
  if (!named.length) return "each task alone";
  if (alone.length) named.push(alone.length === 1 ? `task ${alone[0] + 1} alone` : `${listed(alone)} each alone`);
  return named.join(", ");
}

/** Chances of 1, 2, ... groups, a task alone being one. */
export function numbersOf(partitions) {
  const found = [];
  for (const { blocks, chance } of partitions) found[blocks.length] = (found[blocks.length] ?? 0) + chance;
  return found.map((chance, count) => [count, chance]).filter((one) => one && one[1] >= FAINT);
}

/** The boxes of a partition from x = 0, in the order of their first tasks. */
function boxes(blocks, middle) {
  let x = 1;
  return blocks.flatMap((tasks) => {
    const wide = STEP * tasks.length, box = svg("rect", { x, y: middle - 10, width: wide, height: 20, rx: 10, class: "vmtl-block" });
    const marks = tasks.map((t, i) => marker(t, x + STEP * (i + 0.5), middle, 4.5));
    x += wide + GAP;
    return [box, ...marks];
  });
}

export function partsPanel() {
  const view = panel("partitions", ""), numbers = html("p", { class: "vmtl-quiet" });
  view.root.append(numbers);
  view.describe("Partitions of the tasks into groups");
  function draw({ partitions, tasks }) {
    view.root.hidden = !partitions;
    if (!partitions) return;
    const shown = partitions.filter(({ chance }, i) => chance >= FAINT || !i).slice(0, MOST), left = tasks.length * (STEP + GAP) + 6;
    const [width] = view.resize(ROW * shown.length + 2), long = Math.max(20, width - left - NUMBER);
    say(view.caption, `Who shares a group: the likeliest ${shown.length} of ${partitions.length} partitions`);
    view.drawing.replaceChildren(...shown.flatMap(({ blocks, chance }, i) => {
      const middle = ROW * (i + 0.5);
      return [
        ...boxes(blocks, middle),
        svg("rect", { x: left, y: middle - 7, width: (chance * long).toFixed(1), height: 14, class: "vmtl-chance" }),
        text(left + chance * long + 6, middle + 4, percent(chance), { class: "vmtl-number", "data-row": i }),
      ];
    }));
    say(numbers, `Number of groups: ${numbersOf(partitions).map(([count, chance]) => `${count} with ${percent(chance)}`).join(", ")}`);
    view.describe(`Partitions. ${shown.map(({ blocks, chance }) => `${partitionName(blocks)}: ${percent(chance)}`).join("; ")}.`);
  }
  return { ...view, draw };
}
