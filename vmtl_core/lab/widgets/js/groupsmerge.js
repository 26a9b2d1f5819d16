// Partitions by merging, and the best one with each number of groups. Python: group_search.py
// (Merging) and _groups_model.py.
import { gather, inUse, lawOf, logPartition, memberships, message, messages, variances } from "./groupsmath.js";
import { logGamma } from "./groupsspecial.js";
import { summaries } from "./groupstasks.js";

export const MOST = 6;
const SURE = 0.98, SWEEPS = 60;

const evidence = (one, between) => message(one.A, one.b, between).constant;
const joined = (one, other) => ({
  A: one.A.map((v, i) => v + other.A[i]), b: one.b.map((v, i) => v + other.b[i]), size: one.size + other.size,
  tasks: [...one.tasks, ...other.tasks],
});

/** Labels of 1, 2, ..., `most` groups, numbered by their first tasks; m_0 is taken to be `mean`. */
export function merged({ tasks, inside }, mean, between, most) {
  const groups = Array.from({ length: tasks }, (_, t) => {
    const [xx, xy, yy, u, v] = inside.slice(6 * t, 6 * t + 5);
    return { A: [xx, xy, yy], b: [u - xx * mean[0] - xy * mean[1], v - xy * mean[0] - yy * mean[1]], size: 1, tasks: [t] };
  });
  for (const group of groups) group.alone = evidence(group, between);
  const gain = (i, j) => {
    const [one, other] = [groups[i], groups[j]], both = joined(one, other);
    return evidence(both, between) - one.alone - other.alone + logGamma(both.size) - logGamma(one.size) - logGamma(other.size);
  };
  const gains = groups.map((_, i) => groups.map((_, j) => (j > i ? gain(i, j) : -Infinity)));
  const found = [];
  for (let left = groups.length - 1; left > 0; left--) {
    let i = 0, j = 1, top = -Infinity;
    gains.forEach((row, r) => row.forEach((g, c) => { if (g > top) [i, j, top] = [r, c, g]; }));
    groups[i] = joined(groups[i], groups[j]);
    groups[i].alone = evidence(groups[i], between);
    groups[j] = null;
    gains.forEach((row, k) => {
      row[j] = gains[j][k] = -Infinity;
      if (groups[k] && k !== i) gains[Math.min(i, k)][Math.max(i, k)] = gain(Math.min(i, k), Math.max(i, k));
    });
    if (left <= most) {
      const label = [];
      groups.filter(Boolean).forEach((group, k) => group.tasks.forEach((t) => { label[t] = k; }));
      found.unshift(label);
    }
  }
  return found;
}

/** K = 0, the hierarchical model, and the best partition found with each K = 1, ..., MOST. */
export function partitions({ points, noise, rows, width, concentration }) {
  const sites = summaries(points, noise, rows), spread = variances(width), said = messages(sites, spread), { between } = spread;
  const judged = (member, columns, holds) => {
    const { value, laws } = gather(said, member, columns, between);
    const bound = value + logPartition(member, columns, concentration);
    return { member, columns, laws, holds, bound, groups: inUse(member, columns) };
  };
  const best = [judged(points.flatMap(() => [0, 1]), 2, true)];
  const ends = merged(said, lawOf(best[0].laws, 1).loc, between, MOST).map((label, i) => {
    const columns = i + 3;          // one group more, which is empty, and none
    const hard = label.flatMap((own) => Array.from({ length: columns }, (_, k) => (k === own ? 1 : 0)));
    best.push(judged(hard, columns, false));
    const start = hard.map((one) => SURE * one + (1 - SURE) / columns);
    return judged(memberships(said, start, columns, between, concentration, SWEEPS), columns, true);
  });
  for (const end of ends) {
    const old = best[end.groups];
    if (end.groups && old && (!old.holds || end.bound > old.bound)) best[end.groups] = end;      // none with more than MOST
  }
  return { found: best, sites, spread };
}
