// All numbers of a fit at once: the objective with its slopes, for steps that move everything. With
// sources "joint" the slopes go through what the sources say. Python: vmtl_core/coordinate.py, `Joint`.
import { inverse, logLikelihood, residual, times, trace } from "./linesunits.js";
import { bounded, noiseHyperprior, populationHyperprior, populationLaw, scales } from "./linesalone.js";
import { divergences, judge } from "./linesprior.js";
import { movesPopulation, partsOf, sourcesOf, terms } from "./linesascent.js";
import { climb } from "./lineshill.js";
import { level } from "./lineslevel.js";

/** Lower triangular [a, b, c] = [[a, 0], [b, c]] of a covariance. */
function root([p, q, r]) {
  const a = Math.sqrt(p), b = q / a;
  return [a, b, Math.sqrt(Math.max(r - b * b, 1e-300))];
}

/** Where the numbers of a state lie in one list: five of each task, logits, log sigma, population. */
function layout(problem) {
  const T = problem.stats.length, logits = 5 * T, sigma = logits + T * problem.weights.columns;
  const population = sigma + (problem.logSigma === null ? 1 : 0);
  return { T, logits, sigma, population, size: population + (movesPopulation(problem) ? 4 : 0) };
}

/** The state that a list stands for, laws relative to `about`: u, log of the diagonal, below. */
function stateAt(problem, about, x, start) {
  const at = layout(problem), roots = [];
  const laws = about.map(({ mean, root: [a, b, c] }, t) => {
    const [u, v, p, q, r] = x.subarray(5 * t, 5 * t + 5), d = Math.exp(p), e = Math.exp(q);
    const one = [a * d, b * d + c * r, c * e];
    roots.push(one);
    return {
      mean: [mean[0] + a * u, mean[1] + b * u + c * v],
      covariance: [one[0] * one[0], one[0] * one[1], one[1] * one[1] + one[2] * one[2]],
    };
  });
  const moved = movesPopulation(problem), p = x.subarray(at.population);
  return {
    laws, roots,
    logits: x.slice(at.logits, at.sigma),
    free: x[at.sigma],
    logSigma: problem.logSigma === null ? bounded(x[at.sigma]).value : problem.logSigma,
    population: moved ? { mean: [p[0], p[1]], logSd: [p[2], p[3]] } : start.population,
  };
}

function listOf(problem, state) {
  const at = layout(problem), x = new Float64Array(at.size);
  x.set(state.logits, at.logits);
  if (problem.logSigma === null) x[at.sigma] = state.logSigma;
  if (movesPopulation(problem)) x.set([...state.population.mean, ...state.population.logSd], at.population);
  return x;
}

/** How the objective, not divided by T, gains by each task's mean and covariance, as a source and as itself. */
function lawSlopes(problem, state, parts, rows) {
  const p = Math.exp(-2 * state.logSigma), columns = problem.weights.columns, joint = problem.sources === "joint";
  const slopes = state.laws.map((q, t) => {
    const { gram, cross } = problem.stats[t], said = times(gram, q.mean), own = inverse(q.covariance);
    return {
      mean: [p * (cross[0] - said[0]), p * (cross[1] - said[1])],
      covariance: own.map((v, i) => 0.5 * (v - p * gram[i])),
    };
  });
  state.laws.forEach((q, t) => {
    for (let k = 0; k < columns; k++) {
      const phi = k === t ? 0 : rows[t].phi[k], part = parts[k];
      if (!phi) continue;
      const away = [q.mean[0] - part.mean[0], q.mean[1] - part.mean[1]], pull = times(part.precision, away);
      for (let i = 0; i < 2; i++) slopes[t].mean[i] -= phi * pull[i];
      for (let i = 0; i < 3; i++) slopes[t].covariance[i] -= 0.5 * phi * part.precision[i];
      if (!joint || k >= state.laws.length) continue;
      const [a, b, c] = part.precision, [x, y, z] = q.covariance;             // P S P + (P d)(P d)' - P
      const ax = a * x + b * y, ay = a * y + b * z, bx = b * x + c * y, by = b * y + c * z;
      const bent = [ax * a + ay * b + pull[0] ** 2 - a, ax * b + ay * c + pull[0] * pull[1] - b, bx * b + by * c + pull[1] ** 2 - c];
      for (let i = 0; i < 2; i++) slopes[k].mean[i] += phi * pull[i];
      for (let i = 0; i < 3; i++) slopes[k].covariance[i] += 0.5 * phi * bent[i];
    }
  });
  return slopes;
}

/** The objective at a list, with its slopes. */
function objectiveOf(problem, about, start) {
  const at = layout(problem), { weights, stats } = problem, { columns } = weights;
  return (x) => {
    const state = stateAt(problem, about, x, start), found = terms(problem, { ...state, logSigma: state.logSigma });
    const { parts, rows } = found, gradient = new Float64Array(at.size);
    lawSlopes(problem, state, parts, rows).forEach(({ mean: [m, n], covariance: [g, h, i] }, t) => {
      const [a, b, c] = about[t].root, [p, q, r] = state.roots[t], [d, e] = [Math.exp(x[5 * t + 2]), Math.exp(x[5 * t + 3])];
      const up = 2 * (g * p + h * q), low = 2 * (h * p + i * q), last = 2 * i * r;   // 2 G L, lower part
      gradient.set([a * m + b * n, c * n, (a * up + b * low) * d, c * last * e, c * low], 5 * t);
      for (let k = 0; k < columns; k++) {
        const j = t * columns + k;
        if (k !== t) gradient[at.logits + j] = -rows[t].slope[k] - (state.logits[j] - weights.start[j]);
      }
    });
    if (problem.logSigma === null) {
      const precision = Math.exp(-2 * state.logSigma);
      const slope = stats.reduce((sum, one, t) => sum + precision * residual(one, state.laws[t]) - one.n, 0);
      gradient[at.sigma] = slope * bounded(state.free).slope + noiseHyperprior(state.free).slope;
    }
    if (movesPopulation(problem)) gradient.set(peopleGradient(state, rows), at.population);
    return { value: found.elbo * stats.length, gradient };
  };
}

function peopleGradient({ laws, population }, rows) {
  const { mean, precision } = populationLaw(population), weak = populationHyperprior(population.mean, population.logSd);
  const out = [...weak.mean, ...weak.logSd];
  laws.forEach((q, t) => {
    const phi = rows[t].phi[rows[t].phi.length - 1];
    for (let i = 0; i < 2; i++) {
      const away = q.mean[i] - mean[i], p = precision[2 * i];
      out[i] += phi * p * away;
      out[2 + i] += phi * (p * (away * away + q.covariance[2 * i]) - 1) * bounded(population.logSd[i]).slope;
    }
  });
  return out;
}

/**
 * Climbs with everything at once from a state, or, with sources "previous", goes where no slope is left; the
 * state it ends in, with `steps` and `settled`.
 */
export function settle(problem, state, most) {
  const about = state.laws.map((q) => ({ mean: q.mean, root: root(q.covariance) }));
  const objective = objectiveOf(problem, about, state), x = listOf(problem, state);
  const bent = curvatureAt(problem, state), held = problem.sources === "previous";
  const found = held ? level((at) => objective(at).gradient, x, bent, 1e-10, most) : climb(objective, x, bent, 1e-10, most);
  const { laws, logits, logSigma, population } = stateAt(problem, about, found.x, state);
  return { laws, logits, logSigma, population, steps: found.steps, settled: found.settled };
}

/** About how bent the objective is along each number of the list. */
function curvatureAt(problem, state) {
  const at = layout(problem), { weights } = problem, sd = state.population.logSd.map(Math.exp), out = new Array(at.sigma).fill(1);
  for (let i = 0; i < at.logits; i++) if (i % 5 === 2 || i % 5 === 3) out[i] = 2;
  const { rows } = terms(problem, state);
  rows.forEach((row, t) => row.slope.forEach((slope, k) => {
    out[at.logits + t * weights.columns + k] += Math.abs(slope) / weights.temperature;
  }));
  return [...out, ...scales(problem.stats, problem.logSigma === null, movesPopulation(problem) ? at.T / 2 : 0, sd)];
}
