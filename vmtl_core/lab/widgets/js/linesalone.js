// Every task's own data under a prior that they fit, and rows by themselves. Python:
// vmtl_core/population.py, `fit_own`.
import { determinant, posterior, residual, times, trace } from "./linesunits.js";
import { climb } from "./lineshill.js";

const NARROW = Math.log(1e-3), WIDE = Math.log(1e3);
const START_SD = 0.3, MEAN_VARIANCE = 0.5, PUSH = 1;
const LOG_NORMAL = -0.5 * Math.log(2 * Math.PI);

/** A number kept within the bounds of log sds, and 0 for its slope beyond. */
export function bounded(value) {
  return { value: Math.min(Math.max(value, NARROW), WIDE), slope: value >= NARROW && value <= WIDE ? 1 : 0 };
}

/** Half-normal of scale 1 as a density of log sigma: its logarithm and slope, (5.6). */
export function noiseHyperprior(logSigma) {
  const square = Math.exp(2 * logSigma);
  return { value: logSigma - square / 2 + 0.5 * Math.log(2 / Math.PI), slope: 1 - square };
}

/** N(0, 1/2) on m_0 and Gamma(1/2, 1/2) on v_0, as a density of log s_0: value, slopes, (5.6). */
export function populationHyperprior(mean, logSd) {
  const constant = Math.log(2) + (PUSH / 2) * Math.log(PUSH / 2) - 0.5 * Math.log(Math.PI);
  let value = 0;
  for (let i = 0; i < 2; i++) {
    value += PUSH * (logSd[i] - Math.exp(2 * logSd[i]) / 2) + constant;
    value += LOG_NORMAL - 0.5 * Math.log(MEAN_VARIANCE) - mean[i] ** 2 / (2 * MEAN_VARIANCE);
  }
  return { value, mean: mean.map((m) => -m / MEAN_VARIANCE), logSd: logSd.map((s) => PUSH * (1 - Math.exp(2 * s))) };
}

/** N(mean, diag exp(logSd)^2) as a prior: its precision and natural mean, kept within the bounds. */
export function populationLaw({ mean, logSd }) {
  const precision = logSd.map((s) => Math.exp(-2 * bounded(s).value));
  return { mean, precision: [precision[0], 0, precision[1]], natural: [precision[0] * mean[0], precision[1] * mean[1]] };
}

/** log of the integral of a task's likelihood over a prior whose posterior is q, by w = m + u. */
function logEvidence(stats, logSigma, prior, q) {
  const p = Math.exp(-2 * logSigma), [m, n] = prior.mean, b = stats.cross.map((v) => p * v), am = times(stats.gram, [m, n]);
  const pulled = [b[0] - p * am[0], b[1] - p * am[1]], half = times(q.covariance, pulled);
  const each = logSigma + stats.logUnit + 0.5 * Math.log(2 * Math.PI);
  const constant = -0.5 * p * stats.square - stats.n * each + b[0] * m + b[1] * n - 0.5 * p * trace(stats.gram, [m * m, m * n, n * n]);
  const spread = Math.log(determinant(prior.precision) * determinant(q.covariance));
  return constant + 0.5 * (pulled[0] * half[0] + pulled[1] * half[1] + spread);
}

/** How a learned population's m_0 and log s_0 gain by laws q_t that are under it with `share`s. */
export function populationSlopes(laws, shares, { mean, precision }) {
  const slopes = [0, 0, 0, 0];
  laws.forEach((q, t) => {
    for (let i = 0; i < 2; i++) {
      const away = q.mean[i] - mean[i], p = precision[2 * i];
      slopes[i] += shares[t] * p * away;
      slopes[2 + i] += shares[t] * (p * (away * away + q.covariance[2 * i]) - 1);
    }
  });
  return slopes;
}

/** What the numbers that are climbed stand for: log sigma if learned, then m_0 and log s_0 if learned. */
export function unpack(x, logSigma, population, learned) {
  const at = logSigma === null ? 1 : 0, sigma = logSigma === null ? bounded(x[0]) : { value: logSigma, slope: 0 };
  const people = learned ? { mean: [x[at], x[at + 1]], logSd: [x[at + 2], x[at + 3]] } : population;
  return { sigma, free: x[0], at, population: people };
}

/** About how bent an objective is in log sigma, if it moves, and in m_0 and log s_0, if `share` laws move them. */
export function scales(tasks, noise, share, sd) {
  const rows = tasks.reduce((sum, one) => sum + one.n, 0);
  const people = share ? [...sd.map((s) => share / s ** 2 + 1 / MEAN_VARIANCE), 2 * share + 2, 2 * share + 2] : [];
  return [...(noise ? [2 * rows + 2] : []), ...people];
}

/**
 * The greatest evidence of some tasks, and hyperpriors, (5.5): log sigma, population, posteriors.
 *
 * @param logSigma null if learned.
 * @param learned whether the population is; else it stays N(0, I).
 */
export function fitOwn(tasks, logSigma, learned) {
  const none = { mean: [0, 0], logSd: [0, 0] };
  const state = (x) => {
    const { sigma, free, population, at } = unpack(x, logSigma, none, learned), prior = populationLaw(population);
    const laws = tasks.map((stats) => posterior(stats, sigma.value, prior.precision, prior.natural));
    return { sigma, free, population, prior, laws, at };
  };
  const objective = (x) => {
    const { sigma, free, population, prior, laws, at } = state(x), gradient = [];
    let value = 0, slope = 0;
    tasks.forEach((stats, t) => {
      value += logEvidence(stats, sigma.value, prior, laws[t]);
      slope += Math.exp(-2 * sigma.value) * residual(stats, laws[t]) - stats.n;
    });
    if (at) {
      const weak = noiseHyperprior(free);
      value += weak.value;
      gradient.push(slope * sigma.slope + weak.slope);
    }
    if (learned) {
      const weak = populationHyperprior(population.mean, population.logSd);
      value += weak.value;
      const slopes = populationSlopes(laws, laws.map(() => 1), prior);
      for (let i = 0; i < 2; i++) gradient.push(slopes[i] + weak.mean[i]);
      for (let i = 0; i < 2; i++) gradient.push(slopes[2 + i] * bounded(population.logSd[i]).slope + weak.logSd[i]);
    }
    return { value, gradient };
  };
  const log = Math.log(START_SD), start = [...(logSigma === null ? [0] : []), ...(learned ? [0, 0, log, log] : [])];
  const found = climb(objective, start, scales(tasks, logSigma === null, learned ? tasks.length : 0, [START_SD, START_SD])), { sigma, population, laws } = state(found.x);
  return { logSigma: sigma.value, population, laws, steps: found.steps, settled: found.settled };
}
