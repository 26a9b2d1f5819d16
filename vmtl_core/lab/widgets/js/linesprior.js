// The prior of every task, a mixture of what its sources say: KLs, weights, responsibilities. Python:
// vmtl_core/mixture.py. Rows of weights are flat, (R draws, T, K), an excluded entry is 0.
import { determinant, inverse, times, trace } from "./linesunits.js";

/** A law { mean, covariance } by its precision, as products add them up. */
export function component({ mean, covariance }, widening) {
  const wide = covariance.map((v, i) => v + widening[i]), precision = inverse(wide);
  return { mean, covariance: wide, precision, natural: times(precision, mean), logDet: -Math.log(determinant(wide)) };
}

/** KL(q || p) of Gaussians, (4.8). */
export function divergenceOf(q, { mean, precision, logDet }) {
  const x = q.mean[0] - mean[0], y = q.mean[1] - mean[1];
  const square = trace(precision, [q.covariance[0] + x * x, q.covariance[1] + x * y, q.covariance[2] + y * y]);
  return 0.5 * (square - 2 - logDet - Math.log(determinant(q.covariance)));
}

/** KL of every task's q to every component, flat (T, K). */
export function divergences(laws, parts) {
  const out = new Float64Array(laws.length * parts.length);
  for (let t = 0; t < laws.length; t++) {
    const q = laws[t], [m, n] = q.mean, [p, r, s] = q.covariance, entropy = Math.log(determinant(q.covariance)) + 2;
    for (let k = 0; k < parts.length; k++) {
      if (k === t) continue;
      const { mean, precision, logDet } = parts[k], x = m - mean[0], y = n - mean[1];
      const square = precision[0] * (p + x * x) + 2 * precision[1] * (r + x * y) + precision[2] * (s + y * y);
      out[t * parts.length + k] = 0.5 * (square - logDet - entropy);
    }
  }
  return out;
}

/**
 * Weights of the mixtures by fixed Gumbel noise, (3.3), and what becomes of the divergence.
 *
 * @param noise flat, (R, T, K). Of every draw exp(noise / tau) is kept, its greatest 1.
 */
export function mixing(tasks, columns, noise, temperature, convex) {
  const draws = noise.length / (tasks * columns), start = new Float64Array(tasks * columns), grown = new Float64Array(noise.length);
  for (let at = 0; at < noise.length; at += columns) {
    const t = (at / columns) % tasks;
    let top = -Infinity;
    for (let k = 0; k < columns; k++) if (k !== t && noise[at + k] > top) top = noise[at + k];
    for (let k = 0; k < columns; k++) grown[at + k] = k === t ? 0 : Math.exp((noise[at + k] - top) / temperature);
  }
  if (columns > tasks) for (let t = 0; t < tasks; t++) start[t * columns + tasks] = Math.log(tasks - 1);
  return { tasks, columns, noise, grown, temperature, convex, draws, start };
}

/** Below it a sum of products may have lost what counts, and logarithms are taken. */
const FAINT = 1e-200;

/** alpha and alpha exp(-KL), not normalised, of one draw by logarithms: their sums, with `low` taken off the KLs. */
function faint({ tasks, columns, noise, temperature }, logits, kl, t, r, low, alpha, phi) {
  const at = (r * tasks + t) * columns, log = [];
  let top = -Infinity, both = -Infinity, sum = 0, whole = 0;
  for (let k = 0; k < columns; k++) {
    log[k] = k === t ? -Infinity : (logits[t * columns + k] + noise[at + k]) / temperature;
    if (log[k] > top) top = log[k];
    if (k !== t && log[k] - kl[t * columns + k] > both) both = log[k] - kl[t * columns + k];
  }
  for (let k = 0; k < columns; k++) {
    sum += alpha[k] = Math.exp(log[k] - top);
    whole += phi[k] = k === t ? 0 : Math.exp(log[k] - kl[t * columns + k] - both);
  }
  return { sum, whole, log: Math.log(whole) + both - Math.log(sum) - top + low };
}

/**
 * Task t's divergence, (4.4) or (4.3), mean over the draws, with phi, alpha and its slopes in the logits.
 *
 * `curvature` is the mean of alpha (1 - alpha).
 */
export function judge(weights, logits, kl, t) {
  const { tasks, columns, draws, convex, temperature, grown } = weights, first = t * columns, share = 1 / draws;
  const zeros = () => new Array(columns).fill(0), alpha = zeros(), phi = zeros(), odds = zeros(), likely = zeros();
  const found = { value: 0, phi: zeros(), alpha: zeros(), slope: zeros(), curvature: zeros() };
  let top = -Infinity, low = Infinity;
  for (let k = 0; k < columns; k++) {
    if (k === t) continue;
    top = Math.max(top, logits[first + k]);
    low = Math.min(low, kl[first + k]);
  }
  for (let k = 0; k < columns; k++) {
    if (k === t) continue;
    odds[k] = Math.exp((logits[first + k] - top) / temperature);
    likely[k] = Math.exp(low - kl[first + k]);
  }
  for (let r = 0; r < draws; r++) {
    const at = (r * tasks + t) * columns;
    let sum = 0, whole = 0;
    for (let k = 0; k < columns; k++) {
      sum += alpha[k] = grown[at + k] * odds[k];
      whole += phi[k] = alpha[k] * likely[k];
    }
    let log = 0;
    if (sum > FAINT && whole > FAINT) log = convex ? 0 : Math.log(whole / sum);
    else ({ sum, whole, log } = faint(weights, logits, kl, t, r, low, alpha, phi));
    let mean = 0;
    for (let k = 0; k < columns; k++) {
      alpha[k] /= sum;
      phi[k] /= whole;
      mean += alpha[k] * kl[first + k];
    }
    found.value += share * (convex ? mean : low - log);
    for (let k = 0; k < columns; k++) {
      found.alpha[k] += share * alpha[k];
      found.phi[k] += share * (convex ? alpha[k] : phi[k]);
      found.curvature[k] += share * alpha[k] * (1 - alpha[k]);
      found.slope[k] += (share / temperature) * (convex ? alpha[k] * (kl[first + k] - mean) : alpha[k] - phi[k]);
    }
  }
  return found;
}

/** The hyperprior's hold on task t's logits, N(0, 1) about their start, without its constant. */
export function held({ columns, start }, logits, t) {
  let value = 0;
  for (let k = 0; k < columns; k++) if (k !== t) value -= 0.5 * (logits[t * columns + k] - start[t * columns + k]) ** 2;
  return value;
}

/** One Newton step of diagonal curvature on every row of logits, shorter where it would lose; in place. */
export function climbWeights(weights, logits, kl) {
  const { tasks, columns, start, temperature } = weights;
  for (let t = 0; t < tasks; t++) {
    const here = judge(weights, logits, kl, t), present = held(weights, logits, t) - here.value, old = logits.slice();
    const step = Float64Array.from({ length: columns }, (_, k) => {
      const at = t * columns + k, curvature = here.curvature[k] / temperature ** 2 + 1;
      return k === t ? 0 : Math.min(Math.max((-here.slope[k] - (logits[at] - start[at])) / curvature, -1), 1);
    });
    for (const size of [1, 0.3, 0.09, 0]) {
      for (let k = 0; k < columns; k++) logits[t * columns + k] = old[t * columns + k] + size * step[k];
      if (!size || held(weights, logits, t) - judge(weights, logits, kl, t).value >= present) break;
    }
  }
}
