// Bayesian regression of a line y = w0 + w1 x + noise, its predictive mixture and its intervals.
import { normalCdf, normals } from "./math.js";

const DATA_SEED = 3;
export const MOST = { points: 40, samples: 100, fresh: 100 };
const Z90 = 1.6448536269514722;
const spread = (i, ratio) => ((i + 1) * ratio) % 1;      // fills (0, 1) evenly, like a lottery that remembers
const indices = (count) => Array.from({ length: count }, (_, i) => i);

/** The first `count` points: y = 0.5 + 0.7 x + noise. */
export function dataOf(count, noise) {
  const x = indices(count).map((i) => -1.5 + 2 * spread(i, 0.6180339887498949));
  const error = normals(DATA_SEED, MOST.points);
  return { x, y: x.map((at, i) => 0.5 + 0.7 * at + noise * error[i]) };
}

/** Exact posterior of (w0, w1) under N(0, I): its mean and the Cholesky factor [l00, l10, l11] of its covariance. */
export function posteriorOf({ x, y }, noise) {
  const precision = noise ** -2;
  let a = 1, b = 0, d = 1, u = 0, v = 0;
  x.forEach((at, i) => {
    a += precision; b += precision * at; d += precision * at * at;
    u += precision * y[i]; v += precision * at * y[i];
  });
  const det = a * d - b * b, s00 = d / det, s01 = -b / det, s11 = a / det;
  const l00 = Math.sqrt(s00), l10 = s01 / l00;
  return { mean: [s00 * u + s01 * v, s01 * u + s11 * v], factor: [l00, l10, Math.sqrt(s11 - l10 * l10)] };
}

const moved = ({ mean, factor: [a, b, c] }, scale, z0, z1) =>
  [mean[0] + scale * a * z0, mean[1] + scale * (b * z0 + c * z1)];

/** Variance of w0 + w1 x under the posterior. */
export const varianceAt = ({ factor: [a, b, c] }, x) => (a + b * x) ** 2 + (c * x) ** 2;

/** Samples of the posterior whose width is multiplied by `width`: [[w0, w1], ...]. */
export function linesOf(posterior, width, samples, seed) {
  const z = normals(seed, 2 * samples);
  return indices(samples).map((m) => moved(posterior, width, z[2 * m], z[2 * m + 1]));
}

/** New points, each from a line that the data leave possible (a draw of the exact posterior), plus noise. */
export function newPoints(posterior, noise, count, seed) {
  const z = normals(seed, 2 * MOST.samples + 3 * count).subarray(2 * MOST.samples);
  return indices(count).map((i) => {
    const x = -3 + 6 * spread(i, 0.7548776662466927);
    const [w0, w1] = moved(posterior, 1, z[3 * i], z[3 * i + 1]);
    return [x, w0 + w1 * x + noise * z[3 * i + 2]];
  });
}

/** Means of the components of the predictive at x. */
export const meansAt = (lines, x) => Float64Array.from(lines, ([w0, w1]) => w0 + w1 * x);

/** Distribution function of the mixture at y. */
export function mixtureCdf(means, sd, y) {
  let sum = 0;
  for (const mean of means) sum += normalCdf((y - mean) / sd);
  return sum / means.length;
}

/** Where the distribution function of the mixture is `level`: Newton's steps, kept inside a bracket. */
export function quantile(means, sd, level) {
  const z = level < 0.5 ? -Z90 : Z90;
  let low = Infinity, high = -Infinity, sum = 0, squares = 0;
  for (const m of means) { low = Math.min(low, m); high = Math.max(high, m); sum += m; squares += m * m; }
  const centre = sum / means.length, variance = Math.max(0, squares / means.length - centre * centre);
  let y = centre + z * Math.sqrt(variance + sd * sd);
  low += z * sd; high += z * sd;
  for (let i = 0; i < 60; i++) {
    let cdf = 0, pdf = 0;
    for (const m of means) { const at = (y - m) / sd; cdf += normalCdf(at); pdf += Math.exp(-0.5 * at * at); }
    const error = cdf / means.length - level;
    if (error < 0) low = Math.max(low, y); else high = Math.min(high, y);
    const next = y - (error * sd * Math.sqrt(2 * Math.PI) * means.length) / pdf;
    const step = next > low && next < high ? next - y : (low + high) / 2 - y;
    y += step;
    if (Math.abs(step) < 1e-7) break;
  }
  return y;
}

/** The central 90 % interval of the mixture. */
export const interval90 = (means, sd) => [quantile(means, sd, 0.05), quantile(means, sd, 0.95)];

/** (6.3) for components of one sd: the parts of the variance. */
export function decompose(means, sd) {
  const mean = means.reduce((a, b) => a + b, 0) / means.length;
  const epistemic = means.reduce((sum, m) => sum + (m - mean) ** 2, 0) / means.length;
  return { mean, aleatoric: sd * sd, epistemic, total: sd * sd + epistemic };
}

/** Chance that a new point at x falls into [low, high], given what the data leave possible. */
export function chanceInside(posterior, noise, x, [low, high]) {
  const sd = Math.sqrt(noise * noise + varianceAt(posterior, x));
  const mean = posterior.mean[0] + posterior.mean[1] * x;
  return normalCdf((high - mean) / sd) - normalCdf((low - mean) / sd);
}
