// Two linear encoders, the prior that they make of a row's latent, and KL_z. Python: _latent_model.py.
import { gumbel, klDiagonalGaussian, logSoftmax, logSumExp, softmax, uniforms } from "./math.js";

const DRAWS = 200, COLUMNS = 3, HIGHEST = 1.5;
export const TAUS = Array.from({ length: 41 }, (_, i) => 10 ** (-HIGHEST + (2 * HIGHEST * i) / 40));

/** The encoder of task t at x, as { mean, sd }. */
export const encode = ({ slopes, intercepts, sds }, t, x) => ({ mean: slopes[t] * x + intercepts[t], sd: sds[t] });

/** KL of every row of the receiver to [the other's encoder on it, the base prior]. */
export function pairsOf(now) {
  const { receiver } = now;
  return now.rows[receiver].map((x) => {
    const q = encode(now, receiver, x), other = encode(now, 1 - receiver, x);
    return [klDiagonalGaussian([q.mean], [q.sd], [other.mean], [other.sd]), klDiagonalGaussian([q.mean], [q.sd], [0], [1])];
  });
}

/** Scores log pi + g of [other, base], one pair a draw; a single one without noise. */
export function scoresOf({ receiver, preference, noise, seed }) {
  if (!noise) return [[preference, 0]];
  const g = gumbel(uniforms(seed, DRAWS * COLUMNS));
  return Array.from({ length: DRAWS }, (_, i) => [preference + g[COLUMNS * i + 1 - receiver], g[COLUMNS * i + 2]]);
}

/** (4.4) for every row. */
export const rowsKl = (pairs, logBeta) => pairs.map((kl) => -logSumExp(kl.map((v, k) => logBeta[k] - v)));

/** (4.5) for every row: whether the other or the base explains it. */
export const rowsPhi = (pairs, logBeta) => pairs.map((kl) => softmax(kl.map((v, k) => logBeta[k] - v)));

/** KL_z at every temperature: of the first draw, and the mean over all. */
export function curvesOf(pairs, scores) {
  const total = (score, tau) => {
    const top = Math.max(score[0], score[1]), low = Math.min(score[0], score[1]);
    const rest = Math.log1p(Math.exp((low - top) / tau)), first = -((top - score[0]) / tau) - rest, second = -((top - score[1]) / tau) - rest;
    let sum = 0;
    for (const [other, base] of pairs) {
      const a = first - other, b = second - base, high = Math.max(a, b);
      sum -= high + Math.log1p(Math.exp(Math.min(a, b) - high));
    }
    return sum;
  };
  return {
    first: TAUS.map((tau) => total(scores[0], tau)),
    mean: TAUS.map((tau) => scores.reduce((sum, score) => sum + total(score, tau), 0) / scores.length),
  };
}

export const logBetaOf = (score, tau) => logSoftmax(score, tau);
