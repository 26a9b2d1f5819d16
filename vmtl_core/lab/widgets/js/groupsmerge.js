// Partitions by merging, and the best one with each number of groups. Python: group_search.py
// (Merging) and _groups_model.py.
import { gather, inUse, logPartition, memberships, message, messages, variances } from "./groupsmath.js";
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
export function merged(inside, mean, between, most) {
  const groups = inside.map(({ precision: A, natural: b }, t) => ({
    A, b: [b[0] - A[0] * mean[0] - A[1] * mean[1], b[1] - A[1] * mean[0] - A[2] * mean[1]], size: 1, tasks: [t],
  }));
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
  const sites = summaries(points, noise, rows), spread = variances(width), said = messages(sites, spread);
  const judged = (member, holds) => {
    const found = gather(said, member, spread.between);
    return { ...found, member, holds, groups: inUse(member), bound: found.value + logPartition(member, concentration) };
  };
  const best = [judged(points.map(() => [0, 1]), true)];
  const ends = merged(said.inside, best[0].mean.loc, spread.between, MOST).map((label, i) => {
    const columns = i + 3;          // one group more, which is empty, and none
    const hard = label.map((own) => Array.from({ length: columns }, (_, k) => (k === own ? 1 : 0)));
    best.push(judged(hard, false));
    const start = hard.map((row) => row.map((one) => SURE * one + (1 - SURE) / columns));
    return judged(memberships(said, start, spread, concentration, SWEEPS), true);
  });
  for (const end of ends) {
    const old = best[end.groups];
    if (end.groups && (!old.holds || end.bound > old.bound)) best[end.groups] = end;
  }
  return { found: best, sites, spread };
}
