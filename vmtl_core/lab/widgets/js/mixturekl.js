// KL from a normal q to a mixture of normals on the line, by every method of chapter 4.
// q is { mean, sd }; the mixture is { weights, means, sds }, its weights sum to 1.
import { klDiagonalGaussian, logSumExp, softmax } from "./math.js";

const LOG_2PI = Math.log(2 * Math.PI);
const REACH = 9, CELLS = 2000;      // the grid of the quadrature, in standard deviations of q
const STEP = (2 * REACH) / CELLS;

const entropy = (sd) => 0.5 * (LOG_2PI + 1) + Math.log(sd);
const klTo = (q, mean, sd) => klDiagonalGaussian([q.mean], [q.sd], [mean], [sd]);

/** log sum_k a_k p_k(w) as a function of w. Sources of weight 0 cost nothing. */
export function logMixture({ weights, means, sds }) {
  const used = weights.map((_, k) => k).filter((k) => weights[k] > 0);
  const height = used.map((k) => Math.log(weights[k] / sds[k]) - 0.5 * LOG_2PI);
  const centre = used.map((k) => means[k]), width = used.map((k) => sds[k]);
  const each = new Float64Array(used.length);
  return (w) => {
    for (let k = 0; k < each.length; k++) each[k] = height[k] - 0.5 * ((w - centre[k]) / width[k]) ** 2;
    return logSumExp(each);
  };
}

/** (4.1) by the trapezoidal rule, which is all but exact for such smooth integrands. */
export function exact(q, mixture) {
  const logP = logMixture(mixture);
  let mean = 0;
  for (let i = 0; i <= CELLS; i++) {
    const z = i * STEP - REACH;
    mean += Math.exp(-0.5 * z * z) * logP(q.mean + q.sd * z);
  }
  return -entropy(q.sd) - (mean * STEP) / Math.sqrt(2 * Math.PI);
}

/** (4.2): `repeats` estimates, each of as many samples as `noise`, flat (samples, repeats), holds. */
export function estimates(noise, repeats, q, mixture) {
  const logP = logMixture(mixture), shift = 0.5 * LOG_2PI + Math.log(q.sd);
  const out = new Float64Array(repeats);
  for (let i = 0; i < noise.length; i++) {
    const z = noise[i];
    out[i % repeats] += -0.5 * z * z - shift - logP(q.mean + q.sd * z);
  }
  return out.map((sum) => (sum * repeats) / noise.length);
}

/** log a_k - KL(q || p_k) of every source. */
function scores(q, { weights, means, sds }) {
  return weights.map((a, k) => Math.log(a) - klTo(q, means[k], sds[k]));
}

/** (4.3) */
export function convex(q, { weights, means, sds }) {
  return weights.reduce((sum, a, k) => sum + a * klTo(q, means[k], sds[k]), 0);
}

/** (4.4) */
export function jensen(q, mixture) {
  return -logSumExp(scores(q, mixture));
}

/** (4.5) */
export function responsibilities(q, mixture) {
  return softmax(scores(q, mixture));
}

/** (4.6) */
export function lowerBound(q, { weights, means, sds }) {
  const overlaps = weights.map((a, k) => {
    const variance = q.sd ** 2 + sds[k] ** 2;
    return Math.log(a) - 0.5 * ((q.mean - means[k]) ** 2 / variance + Math.log(variance) + LOG_2PI);
  });
  return -entropy(q.sd) - logSumExp(overlaps);
}

/** The law of the weighted sum of one draw from each source. */
export function lawOfSum({ weights, means, sds }) {
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  return {
    mean: sum(weights.map((a, k) => a * means[k])),
    sd: Math.sqrt(sum(weights.map((a, k) => (a * sds[k]) ** 2))),
  };
}

/** (4.7), no bound on (4.1) */
export function weightedSum(q, mixture) {
  const law = lawOfSum(mixture);
  return klTo(q, law.mean, law.sd);
}

/** The weights with the k-th set to `value` and the others scaled so that all sum to 1. */
export function reweighted(weights, k, value) {
  const rest = weights.reduce((sum, a, j) => (j === k ? sum : sum + a), 0);
  return weights.map((a, j) => {
    if (j === k) return value;
    return (1 - value) * (rest > 0 ? a / rest : 1 / (weights.length - 1));
  });
}
