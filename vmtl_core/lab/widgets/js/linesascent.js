// Sweeps of the closed-form fit: posteriors and responsibilities, weights of the mixture, noise and
// population. Python: vmtl_core/coordinate.py.
import { logLikelihood, posterior, residual } from "./linesunits.js";
import { bounded, noiseHyperprior, populationHyperprior, populationLaw, populationSlopes, scales, unpack } from "./linesalone.js";
import { climbWeights, component, divergenceOf, divergences, judge } from "./linesprior.js";
import { climb } from "./lineshill.js";

const ALTERNATIONS = 3;

/** p_0 as a law. */
export function baseLaw(population) {
  const { mean, precision } = populationLaw(population);
  return { mean, covariance: [1 / precision[0], 0, 1 / precision[2]] };
}

/** The components of everybody's prior: what the sources say, and p_0 if there is one. */
export function partsOf(problem, sources, population) {
  const parts = sources.map((law) => component(law, problem.widening));
  return problem.base === "none" ? parts : [...parts, component(baseLaw(population), [0, 0, 0])];
}

export const sourcesOf = (problem, state) => (problem.sources === "own" ? problem.own.laws : state.laws);

/** Whether the mixture itself moves the population. */
export const movesPopulation = (problem) => problem.base === "learned" && problem.sources !== "own";

/** Task t's best Gaussian, the posterior under the product of the components to the powers phi, (5.16). */
function best(problem, t, logSigma, phi, parts) {
  const precision = [0, 0, 0], natural = [0, 0];
  parts.forEach((part, k) => {
    if (k === t) return;
    for (let i = 0; i < 3; i++) precision[i] += phi[k] * part.precision[i];
    for (let i = 0; i < 2; i++) natural[i] += phi[k] * part.natural[i];
  });
  return posterior(problem.stats[t], logSigma, precision, natural);
}

/** Responsibilities of every task at some KLs. */
const responsibilities = (problem, state, kl) => problem.stats.map((_, t) => judge(problem.weights, state.logits, kl, t).phi);

/** One round of all coordinates, in place; how far a mean moved. */
export function sweep(problem, state) {
  const before = state.laws, parts = partsOf(problem, sourcesOf(problem, state), state.population);
  let kl;
  for (let i = 0; i < ALTERNATIONS; i++) {
    kl = divergences(state.laws, parts);
    const phi = responsibilities(problem, state, kl);
    state.laws = problem.stats.map((_, t) => best(problem, t, state.logSigma, phi[t], parts));
  }
  climbWeights(problem.weights, state.logits, kl);
  settleScales(problem, state, responsibilities(problem, state, kl));
  return Math.max(...state.laws.map((q, t) => Math.max(...q.mean.map((m, i) => Math.abs(m - before[t].mean[i])), ...q.covariance.map((v, i) => Math.abs(v - before[t].covariance[i])))));
}

/** Noise and population at fixed responsibilities, every posterior at its best. */
function settleScales(problem, state, phi) {
  const { stats } = problem, learned = movesPopulation(problem), sources = sourcesOf(problem, state);
  const given = problem.logSigma;
  if (given !== null && !learned) return;
  const fixed = partsOf(problem, sources, state.population), shares = phi.map((row) => row[row.length - 1]);
  const objective = (x) => {
    const { sigma, free, population, at } = unpack(x, given, state.population, learned), gradient = [];
    const parts = learned ? [...fixed.slice(0, -1), component(baseLaw(population), [0, 0, 0])] : fixed;
    const laws = stats.map((_, t) => best(problem, t, sigma.value, phi[t], parts));
    let value = 0, slope = 0;
    stats.forEach((one, t) => {
      value += logLikelihood(one, laws[t], sigma.value);
      parts.forEach((part, k) => {
        if (k !== t && phi[t][k] > 0) value -= phi[t][k] * divergenceOf(laws[t], part);
      });
      slope += Math.exp(-2 * sigma.value) * residual(one, laws[t]) - one.n;
    });
    if (at) {
      const weak = noiseHyperprior(free);
      value += weak.value;
      gradient.push(slope * sigma.slope + weak.slope);
    }
    if (learned) {
      const weak = populationHyperprior(population.mean, population.logSd);
      value += weak.value;
      gradient.push(...peopleSlopes(populationSlopes(laws, shares, populationLaw(population)), population, weak));
    }
    return { value, gradient };
  };
  const start = [...(given === null ? [state.logSigma] : []), ...(learned ? [...state.population.mean, ...state.population.logSd] : [])];
  const share = learned ? shares.reduce((a, b) => a + b, 0) : 0, sd = state.population.logSd.map(Math.exp);
  const { x } = climb(objective, start, scales(stats, given === null, share, sd), 1e-10, 60);
  const { sigma, population } = unpack(x, given, state.population, learned);
  state.logSigma = sigma.value;
  state.population = population;
}

function peopleSlopes(slopes, population, weak) {
  return slopes.map((g, i) => (i < 2 ? g + weak.mean[i] : g * bounded(population.logSd[i - 2]).slope + weak.logSd[i - 2]));
}

/** Log density of the hyperpriors on everything that is learned, over T, with its slopes. */
export function hyperpriors(problem, state) {
  const { weights, own, logSigma } = problem, T = problem.stats.length;
  let value = 0;
  const admitted = T * (weights.columns - 1);
  for (let t = 0; t < T; t++) for (let k = 0; k < weights.columns; k++) if (k !== t) value -= 0.5 * (state.logits[t * weights.columns + k] - weights.start[t * weights.columns + k]) ** 2;
  value -= 0.5 * admitted * Math.log(2 * Math.PI);
  if (problem.base === "learned") value += populationHyperprior(state.population.mean, state.population.logSd).value;
  if (logSigma === null) {
    value += noiseHyperprior(state.logSigma).value;
    if (problem.sources === "own") value += noiseHyperprior(own.logSigma).value;
  }
  return value / T;
}

/** Everything that is reported of a state. */
export function terms(problem, state) {
  const parts = partsOf(problem, sourcesOf(problem, state), state.population), kl = divergences(state.laws, parts);
  const rows = problem.stats.map((_, t) => judge(problem.weights, state.logits, kl, t));
  const likelihood = problem.stats.map((one, t) => logLikelihood(one, state.laws[t], state.logSigma));
  const hyperprior = hyperpriors(problem, state), mean = (v) => v.reduce((a, b) => a + b, 0) / v.length;
  const divergence = rows.map((row) => row.value);
  return { parts, rows, likelihood, divergence, hyperprior, elbo: mean(likelihood) - mean(divergence) + hyperprior };
}
