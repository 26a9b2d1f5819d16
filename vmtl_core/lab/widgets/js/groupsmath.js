// Groups of tasks in the plane, hyperparameters given. Python: vmtl_core/groups.py, of which this is
// the case of one column, two weights, s_0 = 1. Symmetric matrices are xx, xy, yy; what is summed in
// every sweep is kept flat: member (T, C + 1), messages six numbers each, laws five.
import { digamma, logGamma } from "./groupsspecial.js";

const MEAN_VARIANCE = 0.5, STILL = 1e-5;
/** Numbers of a message, W, r, c of (14.2), and of a law, its mean and covariance. */
const MESSAGE = 6, LAW = 5;

/** (14.2): u ~ N(m, v I) integrated out of exp(-u'Au/2 + b'u); `move` is (I + v A)^-1. */
export function message(A, b, v) {
  const p = 1 + v * A[0], q = v * A[1], r = 1 + v * A[2], det = p * r - q * q;
  const move = [r / det, -q / det, p / det];
  const natural = [move[0] * b[0] + move[1] * b[1], move[1] * b[0] + move[2] * b[1]];
  return {
    move, natural, constant: 0.5 * v * (b[0] * natural[0] + b[1] * natural[1]) - 0.5 * Math.log(det),
    precision: [A[0] * move[0] + A[1] * move[1], A[0] * move[1] + A[1] * move[2], A[1] * move[1] + A[2] * move[2]],
  };
}

/** Variances within a group, between groups and of the whole, (14.1). */
export const variances = (width) => ({ within: width ** 2 / (1 + width ** 2), between: 1 / (1 + width ** 2), whole: 1 });

/** What every site says of its group's centre and, in no group, of m_0: flat, (T, 6). */
export function messages(sites, { within, whole }) {
  const flat = (v) => Float64Array.from(sites.flatMap(({ A, b }) => {
    const { precision, natural, constant } = message(A, b, v);
    return [...precision, ...natural, constant];
  }));
  return { tasks: sites.length, inside: flat(within), alone: flat(whole), constant: sites.reduce((sum, site) => sum + site.c, 0) };
}

/** For every column of `member` the sum of the messages, the last one of those in no group. */
function pooled({ tasks, inside, alone }, member, columns) {
  const sums = new Float64Array(MESSAGE * columns);
  for (let t = 0; t < tasks; t++) {
    for (let k = 0; k < columns; k++) {
      const share = member[t * columns + k], said = k < columns - 1 ? inside : alone;
      for (let i = 0; i < MESSAGE; i++) sums[MESSAGE * k + i] += share * said[MESSAGE * t + i];
    }
  }
  return sums;
}

/** Everything Gaussian at given memberships: the laws of the centres and, last, of m_0. */
export function gather(said, member, columns, between) {
  const sums = pooled(said, member, columns), none = columns - 1, laws = new Float64Array(LAW * columns), groups = [];
  const A = [...sums.subarray(MESSAGE * none, MESSAGE * none + 3)], b = [...sums.subarray(MESSAGE * none + 3, MESSAGE * none + 5)];
  let value = said.constant + sums[MESSAGE * none + 5];
  for (let k = 0; k < none; k++) {
    const at = MESSAGE * k, group = message(sums.subarray(at, at + 3), sums.subarray(at + 3, at + 5), between);
    for (let i = 0; i < 3; i++) A[i] += group.precision[i];
    b[0] += group.natural[0];
    b[1] += group.natural[1];
    value += sums[at + 5] + group.constant;
    groups.push(group);
  }
  const whole = message(A, b, MEAN_VARIANCE), [x, y] = whole.natural, [d, e, f] = whole.move;
  laws.set([x, y, d, e, f].map((v) => MEAN_VARIANCE * v), LAW * none);
  groups.forEach(({ move: [p, q, r], natural: [u, v] }, k) => {       // the move of m_0's law, and what is left of V_b
    const m = MEAN_VARIANCE, pd = p * d + q * e, pe = p * e + q * f, qd = q * d + r * e, qe = q * e + r * f;
    laws.set([
      m * (p * x + q * y) + between * u, m * (q * x + r * y) + between * v,
      m * (pd * p + pe * q) + between * p, m * (pd * q + pe * r) + between * q, m * (qd * q + qe * r) + between * r,
    ], LAW * k);
  });
  return { value: value + whole.constant, laws };
}

/** Law k in words: { loc, covariance }. */
export const lawOf = (laws, k) => ({ loc: [...laws.subarray(LAW * k, LAW * k + 2)], covariance: [...laws.subarray(LAW * k + 2, LAW * k + 5)] });

/** a / C for each group, a for none. */
const pseudoCounts = (columns, concentration) =>
  Array.from({ length: columns }, (_, k) => (k < columns - 1 ? concentration / (columns - 1) : concentration));

/** Tasks in each column. */
export function sizes(member, columns) {
  const sums = new Array(columns).fill(0);
  for (let i = 0; i < member.length; i++) sums[i % columns] += member[i];
  return sums;
}

/** Mean log evidence of task t's message under law k. */
function expected(said, t, laws, k) {
  const s = MESSAGE * t, l = LAW * k, x = laws[l], y = laws[l + 1];
  const square = said[s] * (laws[l + 2] + x * x) + 2 * said[s + 1] * (laws[l + 3] + x * y) + said[s + 2] * (laws[l + 4] + y * y);
  return said[s + 5] - 0.5 * square + said[s + 3] * x + said[s + 4] * y;
}

/** (14.4): coordinate ascent on the bound. */
export function memberships(said, start, columns, between, concentration, sweeps) {
  const member = Float64Array.from(start), prior = pseudoCounts(columns, concentration), scores = new Float64Array(columns);
  for (let sweep = 0, moved = 1; sweep < sweeps && moved >= STILL; sweep++) {
    const { laws } = gather(said, member, columns, between), weight = sizes(member, columns).map((n, k) => digamma(n + prior[k]));
    moved = 0;
    for (let t = 0; t < said.tasks; t++) {
      let top = -Infinity, sum = 0;
      for (let k = 0; k < columns; k++) {
        scores[k] = expected(k < columns - 1 ? said.inside : said.alone, t, laws, k) + weight[k];
        if (scores[k] > top) top = scores[k];
      }
      for (let k = 0; k < columns; k++) sum += scores[k] = Math.exp(scores[k] - top);
      for (let k = 0; k < columns; k++) {
        const share = scores[k] / sum, at = t * columns + k;
        moved = Math.max(moved, Math.abs(share - member[at]));
        member[at] = share;
      }
    }
  }
  return member;
}

const logBeta = (counts) => counts.reduce((sum, n) => sum + logGamma(n), 0) - logGamma(counts.reduce((a, b) => a + b, 0));
export const inUse = (member, columns) => sizes(member, columns).slice(0, -1).filter((n) => n > 0.5).length;

/** Log prior of memberships and their entropy, (14.5). */
export function logPartition(member, columns, concentration) {
  const prior = pseudoCounts(columns, concentration), size = sizes(member, columns), groups = columns - 1;
  let total = logBeta(prior.map((n, k) => n + size[k])) - logBeta(prior);
  total += logGamma(groups + 1) - logGamma(groups - inUse(member, columns) + 1);
  for (const p of member) if (p > 0) total -= p * Math.log(p);
  return total;
}
