// Fits of a few regressions y = w0 + w1 x, each with a prior made of the others, in the page. Python:
// vmtl_core/closed_form.py, whose numbers these are; _lines_model.py calls it.
import { gumbel, uniforms } from "./math.js";
import { statistics, toData, unitsOf, widthInUnits } from "./linesunits.js";
import { fitOwn } from "./linesalone.js";
import { mixing } from "./linesprior.js";
import { baseLaw, sweep, terms } from "./linesascent.js";
import { settle } from "./linesjoint.js";
import { fitGroups } from "./linesgroups.js";

/** Gumbel draws that the expected objective is made of. */
const DRAWS = 16;
/** Sweeps before everything is moved at once, and steps of that; how often both; how little is nothing. */
const SWEEPS = 15, MOST = 400, ROUNDS = 3, STILL = 1e-11;
const WORDS = { sources: ["own", "previous", "joint", "groups"], divergence: ["jensen", "convex"], base: ["none", "fixed", "learned"] };

/** A setting but for its tasks. */
export const linesDefault = {
  temperature: 1, draws: null, sigma: null, delta: 0.5, sources: "own", divergence: "jensen", base: "learned",
};

function check(setting) {
  const fits = (name, fit) => {
    if (!fit) throw new Error(`\`${name}\` doesn't fit; got ${JSON.stringify(setting[name])}`);
  };
  const above = (v) => Number.isFinite(v) && v > 0;
  const row = (one) => Array.isArray(one) && one.length === 2 && one.every(Number.isFinite);
  const { tasks } = setting;
  fits("tasks", Array.isArray(tasks) && tasks.length >= 3 && tasks.length <= 6 && tasks.every((t) => t.length >= 1 && t.every(row)));
  for (const name of ["temperature", "delta"]) fits(name, above(setting[name]));
  fits("sigma", setting.sigma === null || above(setting.sigma));
  fits("draws", setting.draws === null || (Number.isInteger(setting.draws) && setting.draws >= 0));
  for (const [name, words] of Object.entries(WORDS)) fits(name, words.includes(setting[name]));
}

function weightsOf({ tasks, draws, temperature, divergence, base }) {
  const T = tasks.length, columns = T + (base === "none" ? 0 : 1), convex = divergence === "convex";
  if (draws === null) return mixing(T, columns, new Float64Array(T * columns), 1, convex);
  return mixing(T, columns, gumbel(uniforms(draws, DRAWS * T * columns)), temperature, convex);
}

/** The whole fit: see the top of _lines_model.py for what comes back. */
export function linesFit(setting) {
  check(setting);
  if (setting.sources === "groups") return groupsFit(setting);
  const { tasks, sigma, delta, sources, base } = setting, units = unitsOf(tasks, base !== "fixed");
  const logSigma = sigma === null ? null : Math.log(sigma / units.b), stats = tasks.map((rows) => statistics(rows, units));
  const own = fitOwn(stats, logSigma, base === "learned"), weights = weightsOf(setting);
  const problem = { stats, own, weights, logSigma, sources, base, widening: widthInUnits(delta, units) };
  const state = ascend(problem, {
    laws: own.laws, logits: weights.start.slice(), logSigma: own.logSigma, population: own.population,
  });
  return {
    ...report(problem, state, units), ...byThemselves(tasks, stats, logSigma, units),
    sweeps: state.sweeps, converged: state.converged && own.settled,
  };
}

/** Every task under a prior that knows nothing of the others, and all rows as one task. */
function byThemselves(tasks, stats, logSigma, units) {
  const byItself = (rows) => {
    const one = fitOwn([rows], logSigma, false);
    return { ...toData(one.laws[0], units), sigma: Math.exp(one.logSigma) * units.b };
  };
  return { alone: stats.map(byItself), pooled: byItself(statistics(tasks.flat(), units)) };
}

/** The same where the components of the prior are groups of tasks, weighed by their evidence: _lines_groups.py. */
function groupsFit({ tasks, sigma, delta }) {
  const units = unitsOf(tasks, true), logSigma = sigma === null ? null : Math.log(sigma / units.b);
  const stats = tasks.map((rows) => statistics(rows, units)), own = fitOwn(stats, logSigma, true);
  const { laws, likelihood, kl, hyperprior, population, companies, settled, steps, ...found } = fitGroups(stats, own, logSigma, delta);
  return {
    ...found, q: laws.map((law) => toData(law, units)), terms: { likelihood, kl, hyperprior },
    sigma: Math.exp(found.logSigma) * units.b, population: withSds(toData(population, units)),
    components: companies.map((every) => every.map(({ law, ...one }) => ({ source: one.tasks[0] ?? -1, ...one, ...toData(law, units) }))),
    ...byThemselves(tasks, stats, logSigma, units), sweeps: steps, converged: settled && own.settled,
  };
}

/**
 * Sweeps as the library's, then steps with everything at once, until nothing moves. With sources "previous" some
 * settings have no rest, each task running after what the others said last; they stay where the sweeps end.
 */
function ascend(problem, state) {
  if (problem.sources === "joint") return ended(settle(problem, state, MOST), 0);
  let moved = Infinity, sweeps = 0, steps = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    for (; sweeps < round * SWEEPS && moved > STILL; sweeps++) moved = sweep(problem, state);
    const found = ended(settle(problem, state, problem.sources === "own" ? MOST : 100), sweeps + steps);
    if (found.converged || problem.sources === "own") return found;
    steps = found.sweeps - sweeps;
  }
  return { ...state, sweeps: sweeps + steps, converged: moved <= STILL };
}

const ended = (found, sweeps) => ({ ...found, sweeps: sweeps + found.steps, converged: found.settled });

const withSds = (law) => ({ ...law, sd: law.covariance.map((row, i) => Math.sqrt(row[i])) });

function report(problem, state, units) {
  const { parts, rows, likelihood, divergence, hyperprior, elbo } = terms(problem, state), T = rows.length;
  const said = parts.map((part) => toData(part, units)), list = (values) => Array.from(values);
  const { population } = state, base = problem.base === "none" ? null : toData(baseLaw(population), units);
  return {
    q: state.laws.map((law) => toData(law, units)),
    components: rows.map((row, t) =>
      said.map((law, k) => ({ source: k < T ? k : -1, alpha: row.alpha[k], phi: row.phi[k], ...law })).filter((_, k) => k !== t),
    ),
    alpha: rows.map((row) => list(row.alpha)), phi: rows.map((row) => list(row.phi)), pi: shares(problem.weights, state.logits),
    terms: { likelihood, kl: divergence, hyperprior }, elbo,
    sigma: Math.exp(state.logSigma) * units.b,
    population: base && withSds(base),
  };
}

/** pi, the softmax of every row of logits. */
function shares({ tasks, columns }, logits) {
  return Array.from({ length: tasks }, (_, t) => {
    const row = Array.from(logits.subarray(t * columns, (t + 1) * columns), (v, k) => (k === t ? 0 : Math.exp(v)));
    const sum = row.reduce((a, b) => a + b, 0);
    return row.map((v) => v / sum);
  });
}
