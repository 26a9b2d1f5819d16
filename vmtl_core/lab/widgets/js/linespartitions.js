// All partitions of a few tasks, and what the restaurant of vmtl_core/groups.py says of them beforehand.
import { logGamma } from "./groupsspecial.js";

/** a: the pseudo-count of being in no group, and of all groups together. */
const CONCENTRATION = 1;

export const logSumExp = (values) => {
  const top = Math.max(...values);
  return top + Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0));
};

/** The tasks of a block, a number with a bit for each. */
export const tasksOf = (block) => Array.from({ length: 6 }, (_, t) => t).filter((t) => (block >> t) & 1);
const sizeOf = (block) => tasksOf(block).length;

const logBeta = (counts) => counts.reduce((sum, n) => sum + logGamma(n), 0) - logGamma(counts.reduce((a, b) => a + b, 0));

/**
 * log probability of a partition with blocks of these sizes, weights integrated out, (14.5). Of T groups
 * each has the pseudo-count a / T. A task alone may have a group, or be in none: its law is the same, and the
 * ways to be so are added up.
 */
function logPrior(sizes, T) {
  const start = [...new Array(T).fill(CONCENTRATION / T), CONCENTRATION], whole = logBeta(start);
  const more = sizes.filter((n) => n > 1), singles = sizes.length - more.length;
  return logSumExp(Array.from({ length: singles + 1 }, (_, none) => {
    const used = more.length + singles - none, counts = [...start];
    more.forEach((n, c) => (counts[c] += n));
    for (let c = more.length; c < used; c++) counts[c] += 1;
    counts[T] += none;
    const ways = logGamma(singles + 1) - logGamma(none + 1) - logGamma(singles - none + 1);
    return logBeta(counts) - whole + logGamma(T + 1) - logGamma(T - used + 1) + ways;
  }));
}

const made = new Map();

/** Every partition of T tasks, { blocks, logPrior }; there are 5, 15, 52, 203 of 3...6 tasks. */
export function partitionsOf(T) {
  if (made.has(T)) return made.get(T);
  let found = [[]];
  for (let t = 0; t < T; t++) {
    found = found.flatMap((blocks) => [...blocks.map((_, i) => blocks.map((b, j) => (i === j ? b | (1 << t) : b))), [...blocks, 1 << t]]);
  }
  made.set(T, found.map((blocks) => ({ blocks, logPrior: logPrior(blocks.map(sizeOf), T) })));
  return made.get(T);
}
