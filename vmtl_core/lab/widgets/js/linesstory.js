// What the numbers shown say, in a sentence for each situation. Nothing here is known beforehand.
import { format } from "./axes.js";
import { NINETY, valueAt, varianceAt } from "./linesplane.js";
import { partitionName } from "./linesparts.js";
import { fewest } from "./linesstate.js";

const det = ([[a, b], [, c]]) => a * c - b * b;
/** The area of an ellipse in proportion to that of another. */
export const area = (one, other) => Math.sqrt(det(one.covariance) / det(other.covariance));
const percent = (share) => (share > 0.0005 && share < 0.01 ? "less than 1\u00a0%" : `${Math.round(100 * share)}\u00a0%`);
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const sourceName = (k, T) => (k < T ? `task ${k + 1}` : "the base prior");

/** The source that explains the most of a task, and how much. */
export function chief(row, t) {
  const k = row.map((_, i) => i).filter((i) => i !== t).sort((i, j) => row[j] - row[i])[0];
  return [k, row[k]];
}

const leaning = ({ phi }) => phi.map((row, t) => {
  const [k, share] = chief(row, t);
  return `task ${t + 1} leans on ${sourceName(k, phi.length)} (φ ${percent(share)})`;
}).join(", ");

/** The areas of all posteriors, in proportion to what they are alone. */
const areas = ({ q, alone }) => q.map((one, t) => percent(area(one, alone[t]))).join(", ");

const capital = (words) => words[0].toUpperCase() + words.slice(1);
/** Half of the 90 % interval of a line at the edge of the data. */
const half = (law, x) => NINETY * Math.sqrt(varianceAt(law, x));

const STORIES = {
  friends: (now) => `${capital(leaning(now))}. Their ellipses have ${areas(now)} of the area that they have alone.`,
  echo(now) {
    const sure = mean(now.q.map((one) => area(one, now.pooled)));
    // With sigma set and no base prior nothing else than points adds precision.
    const twice = now.sources !== "own" && now.base === "none" && now.given.sigma !== null ? ": the same points were heard more than once" : "";
    const verdict = sure < 1 ? `surer than if all points belonged to one task${twice}` : "less sure than if all points belonged to one task";
    return `Sources ${now.sources}: the tasks' ellipses have on average ${percent(sure)} of the area of pooling, ${verdict}.`;
  },
  few(now) {
    const t = fewest(now.tasks), [k, share] = chief(now.phi[t], t), x = 2, count = now.tasks[t].length;
    return `Task ${t + 1} has ${count} ${count === 1 ? "point" : "points"}. At x = ${x} its line is ${format(valueAt(now.q[t], x))} ± ${format(half(now.q[t], x))} (90 %), ` +
      `alone ${format(valueAt(now.alone[t], x))} ± ${format(half(now.alone[t], x))}; ${sourceName(k, now.tasks.length)} explains ${percent(share)} of it.`;
  },
  opposites(now) {
    const slopes = now.q.map(({ mean: [, slope] }) => format(slope)).join(", ");
    const T = now.tasks.length, same = now.q.map(({ mean: [, own] }, t) => now.phi[t].reduce((sum, share, k) =>
      sum + (k < T && k !== t && Math.sign(now.alone[k].mean[1]) === Math.sign(own) ? share : 0), 0));
    const other = now.phi.map((row, t) => row.slice(0, T).reduce((a, b) => a + b, 0) - same[t]);
    return `Slopes ${slopes}; pooled ${format(now.pooled.mean[1])}, which is nobody's. Tasks of the same sign explain ${percent(mean(same))}, of the opposite sign ${percent(mean(other))}.`;
  },
  same(now) {
    const each = mean(now.q.map((one, t) => area(one, now.alone[t]))), all = mean(now.alone.map((one) => area(now.pooled, one)));
    return `The ellipses have on average ${percent(each)} of the area that they have alone; pooling, which knows that all tasks are one, would have ${percent(all)}.`;
  },
};

/** How likely two tasks are to share a group, mean over the pairs that are asked for. */
function sharing({ phi }, asked) {
  const pairs = phi.flatMap((row, t) => row.slice(0, t).map((share, k) => [share, k, t])).filter(([, k, t]) => asked(k, t));
  return pairs.length ? percent(mean(pairs.map(([share]) => share))) : "–";
}

const likely = ({ partitions: [{ blocks, chance }] }) => `Most likely: ${partitionName(blocks)} (${percent(chance)})`;

/** The same situations where tasks are in groups. */
const IN_GROUPS = {
  friends: (now) => `${likely(now)}. The ellipses have ${areas(now)} of the area that they have alone.`,
  echo: (now) => `${likely(now)}. A group tells a task what its other members' data say, so that no point comes back: the ellipses have on average ` +
    `${percent(mean(now.q.map((one) => area(one, now.pooled))))} of the area of pooling.`,
  few(now) {
    const t = fewest(now.tasks), x = 2;
    return `Task ${t + 1} shares a group with ${percent(1 - now.phi[t].at(-1))}. At x = ${x} its line is ${format(valueAt(now.q[t], x))} ± ${format(half(now.q[t], x))} (90 %), ` +
      `alone ${format(valueAt(now.alone[t], x))} ± ${format(half(now.alone[t], x))}.`;
  },
  opposites(now) {
    const slopes = now.q.map(({ mean: [, slope] }) => format(slope)).join(", "), sign = (t) => Math.sign(now.alone[t].mean[1]);
    return `Slopes ${slopes}. ${likely(now)}. Two tasks of the same sign share a group with ${sharing(now, (k, t) => sign(k) === sign(t))}, of opposite signs with ${sharing(now, (k, t) => sign(k) !== sign(t))}.`;
  },
  same(now) {
    const all = now.partitions.find(({ blocks }) => blocks.length === 1).chance, none = now.partitions.find(({ blocks }) => blocks.length === now.tasks.length).chance;
    const sd = now.population.sd.map((v) => format(v)).join(" and "), each = mean(now.q.map((one, t) => area(one, now.alone[t])));
    return `All in one group: ${percent(all)}; each alone under p₀, whose sds are ${sd}: ${percent(none)}. The narrower p₀, the less it matters which. ` +
      `The ellipses have on average ${percent(each)} of the area that they have alone.`;
  },
};

const RESTLESS = "There is no fit here: with sources previous each task runs after what the others said last, and they never come to rest. " +
  "Lines and ellipses are where the page gave up, faint; their numbers would say no more, and are left out. Choose own or joint, or change δ.";

/** The sentence of a situation; and what was fitted, unless it is to be short. */
export function sentence(now, kind, short) {
  if (now.restless) return RESTLESS;
  const { sigma, elbo, converged } = now, stories = now.partitions ? IN_GROUPS : STORIES;
  const story = (stories[kind] ?? stories.friends)(now);
  if (now.partitions) return [story, short ? "" : `σ ${format(sigma)}${now.given.sigma === null ? ", learned" : ""}; log evidence ${format(now.evidence, 1)} nats, all partitions added up.`, converged ? "" : "The fit has not settled."].filter(Boolean).join(" ");
  const fitted = `σ ${format(sigma)}${now.given.sigma === null ? ", learned" : ""}; ELBO ${format(elbo, 1)} nats a task.`;
  return [story, short ? "" : fitted, converged ? "" : "The fit has not settled."].filter(Boolean).join(" ");
}
