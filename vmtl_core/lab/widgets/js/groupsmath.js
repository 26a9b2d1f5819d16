// Groups of tasks in the plane, hyperparameters given. Python: vmtl_core/groups.py, of which this is
// the case of one column, two weights, s_0 = 1. A symmetric matrix is [xx, xy, yy].
import { digamma, logGamma } from "./groupsspecial.js";
import { softmax } from "./math.js";

const MEAN_VARIANCE = 0.5, STILL = 1e-5;

const times = ([a, b, c], [x, y]) => [a * x + b * y, b * x + c * y];
const dot = (u, v) => u[0] * v[0] + u[1] * v[1];
/** The product of two symmetric matrices that commute. */
const product = ([a, b, c], [d, e, f]) => [a * d + b * e, a * e + b * f, b * e + c * f];
/** H M H for symmetric H and M. */
function around([a, b, c], [d, e, f]) {
  const p = a * d + b * e, q = a * e + b * f, r = b * d + c * e, s = b * e + c * f;
  return [p * a + q * b, p * b + q * c, r * b + s * c];
}

/** (12.2): u ~ N(m, v I) integrated out of exp(-u'Au/2 + b'u); `move` is (I + v A)^-1. */
export function message(A, b, v) {
  const p = 1 + v * A[0], q = v * A[1], r = 1 + v * A[2], det = p * r - q * q;
  const move = [r / det, -q / det, p / det], natural = times(move, b);
  return { precision: product(A, move), natural, constant: 0.5 * v * dot(b, natural) - 0.5 * Math.log(det), move };
}

/** Variances within a group, between groups and of the whole, (12.1). */
export const variances = (width) => ({ within: width ** 2 / (1 + width ** 2), between: 1 / (1 + width ** 2), whole: 1 });

/** What every site says of its group's centre and, in no group, of m_0. */
export function messages(sites, { within, whole }) {
  return {
    inside: sites.map(({ A, b }) => message(A, b, within)), alone: sites.map(({ A, b }) => message(A, b, whole)),
    constant: sites.reduce((sum, site) => sum + site.c, 0),
  };
}

function pooled(said, member, k, A, b) {
  for (let t = 0; t < said.length; t++) {
    const share = member[t][k], { precision, natural } = said[t];
    for (let i = 0; i < 3; i++) A[i] += share * precision[i];
    b[0] += share * natural[0];
    b[1] += share * natural[1];
  }
}

/** Everything Gaussian at given memberships: member[t][k], the last one of none. */
export function gather({ inside, alone, constant }, member, between) {
  const none = member[0].length - 1, A = [0, 0, 0], b = [0, 0], groups = [];
  let value = constant;
  pooled(alone, member, none, A, b);
  for (let k = 0; k < none; k++) {
    const sum = [0, 0, 0], pull = [0, 0];
    pooled(inside, member, k, sum, pull);
    const group = message(sum, pull, between);
    for (let i = 0; i < 3; i++) A[i] += group.precision[i];
    b[0] += group.natural[0];
    b[1] += group.natural[1];
    value += group.constant;
    groups.push({ ...group, pull });
  }
  const whole = message(A, b, MEAN_VARIANCE);
  const mean = { loc: whole.natural.map((v) => MEAN_VARIANCE * v), covariance: whole.move.map((v) => MEAN_VARIANCE * v) };
  value += whole.constant;
  for (let t = 0; t < member.length; t++) {
    value += member[t][none] * alone[t].constant;
    for (let k = 0; k < none; k++) value += member[t][k] * inside[t].constant;
  }
  const centres = groups.map(({ move, natural }) => {
    const away = times(move, mean.loc), wide = around(move, mean.covariance);
    return { loc: away.map((v, i) => v + between * natural[i]), covariance: wide.map((v, i) => v + between * move[i]) };
  });
  return { value, centres, mean };
}

/** Mean log evidence of a site under a law of what it is about. */
function expected({ precision: [a, b, c], natural, constant }, { loc: [x, y], covariance: [p, q, r] }) {
  const square = a * (p + x * x) + 2 * b * (q + x * y) + c * (r + y * y);
  return constant - 0.5 * square + natural[0] * x + natural[1] * y;
}

/** a / C for each group, a for none. */
const pseudoCounts = (length, concentration) =>
  Array.from({ length }, (_, k) => (k < length - 1 ? concentration / (length - 1) : concentration));

export const sizes = (member) => member[0].map((_, k) => member.reduce((sum, row) => sum + row[k], 0));

/** (12.4): coordinate ascent on the bound. */
export function memberships(said, start, { between }, concentration, sweeps) {
  let member = start;
  const prior = pseudoCounts(start[0].length, concentration);
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const { centres, mean } = gather(said, member, between);
    const counts = sizes(member).map((n, k) => n + prior[k]), weight = counts.map(digamma);
    let moved = 0;
    const next = member.map((row, t) => {
      const scores = centres.map((centre, k) => expected(said.inside[t], centre) + weight[k]);
      scores.push(expected(said.alone[t], mean) + weight[centres.length]);
      const shares = softmax(scores);
      for (let k = 0; k < shares.length; k++) moved = Math.max(moved, Math.abs(shares[k] - row[k]));
      return shares;
    });
    member = next;
    if (moved < STILL) break;
  }
  return member;
}

const logBeta = (counts) => counts.reduce((sum, n) => sum + logGamma(n), 0) - logGamma(counts.reduce((a, b) => a + b, 0));
export const inUse = (member) => sizes(member).slice(0, -1).filter((n) => n > 0.5).length;

/** Log prior of memberships and their entropy, (12.5). */
export function logPartition(member, concentration) {
  const prior = pseudoCounts(member[0].length, concentration), size = sizes(member), groups = prior.length - 1;
  let total = logBeta(prior.map((n, k) => n + size[k])) - logBeta(prior);
  total += logGamma(groups + 1) - logGamma(groups - inUse(member) + 1);
  for (const row of member) for (const p of row) if (p > 0) total -= p * Math.log(p);
  return total;
}
