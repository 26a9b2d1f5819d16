// A few regressions in groups: all their partitions, weighed by the evidence, which is exact at given
// hyperparameters. Python: _lines_groups.py; the library's own functions are in vmtl_core/groups.py.
import { logLikelihood, residual, times } from "./linesunits.js";
import { bounded, noiseHyperprior, populationHyperprior } from "./linesalone.js";
import { climb } from "./lineshill.js";
import { logSumExp, partitionsOf, tasksOf } from "./linespartitions.js";

/** Variance of m_0. */
const MEAN_VARIANCE = 0.5;
/** Minus the log density of m_0 at 0. */
const AT_ZERO = Math.log(2 * Math.PI * MEAN_VARIANCE);
const add = (one, other) => one.map((v, i) => v + other[i]);
const NOTHING = { precision: [0, 0, 0], natural: [0, 0], constant: 0 };

/**
 * exp(-u'Au/2 + b'u + c) with u ~ N(m, diag v) integrated out: precision, natural mean and constant of what is
 * left of m, (14.2); and u given m, of mean `move` m + `loc` and covariance `spread`. Nothing is subtracted
 * but in A's determinant.
 */
export function message({ precision: [a, b, c], natural: [x, y], constant }, [v, w]) {
  const D = Math.max(a * c - b * b, 0), det = 1 + v * a + w * c + v * w * D;
  const spread = [(v * (1 + w * c)) / det, (-v * w * b) / det, (w * (1 + v * a)) / det], loc = times(spread, [x, y]);
  return {
    precision: [(a + w * D) / det, b / det, (c + v * D) / det],
    natural: [((1 + w * c) * x - w * b * y) / det, ((1 + v * a) * y - v * b * x) / det],
    constant: constant + 0.5 * (x * loc[0] + y * loc[1] - Math.log(det)),
    move: [(1 + w * c) / det, (-v * b) / det, (-w * b) / det, (1 + v * a) / det], loc, spread,
  };
}

/** The law of u where m has one. */
function downwards({ move: [a, b, c, d], loc, spread }, { mean: [m, n], covariance: [p, q, r] }) {
  return {
    mean: [a * m + b * n + loc[0], c * m + d * n + loc[1]],
    covariance: [
      spread[0] + a * a * p + 2 * a * b * q + b * b * r, spread[1] + a * c * p + (a * d + b * c) * q + b * d * r,
      spread[2] + c * c * p + 2 * c * d * q + d * d * r,
    ],
  };
}

/** How the evidence gains by the variances of u, where m has a law. */
function gains({ precision: [a, b, c], natural: [x, y] }, { mean: [m, n], covariance: [p, q, r] }) {
  return [
    0.5 * ((x - a * m - b * n) ** 2 + a * a * p + 2 * a * b * q + b * b * r - a),
    0.5 * ((y - b * m - c * n) ** 2 + b * b * p + 2 * b * c * q + c * c * r - c),
  ];
}

/** A sum of laws that have weights, from which their mixture's mean and covariance are read. */
class Mixture {
  constructor() {
    [this.weight, this.sum, this.square] = [0, [0, 0], [0, 0, 0]];
  }

  add(weight, { mean: [m, n], covariance: [p, q, r] }) {
    this.weight += weight;
    this.sum[0] += weight * m;
    this.sum[1] += weight * n;
    this.square[0] += weight * (p + m * m);
    this.square[1] += weight * (q + m * n);
    this.square[2] += weight * (r + n * n);
  }

  get law() {
    const [m, n] = this.sum.map((v) => v / this.weight), [p, q, r] = this.square.map((v) => v / this.weight);
    return { mean: [m, n], covariance: [p - m * m, q - m * n, r - n * n] };
  }
}

/** Variances within and between groups, (14.1), of population sds and a width. */
function variances(sd, width) {
  const share = width ** 2 / (1 + width ** 2);
  return { within: sd.map((s) => s * s * share), between: sd.map((s) => (s * s) / (1 + width ** 2)) };
}

const siteOf = (stats, logSigma) => {
  const p = Math.exp(-2 * logSigma), each = logSigma + stats.logUnit + 0.5 * Math.log(2 * Math.PI);
  return { precision: stats.gram.map((v) => p * v), natural: stats.cross.map((v) => p * v), constant: -0.5 * p * stats.square - stats.n * each };
};

/**
 * Every partition at given hyperparameters.
 *
 * Returns log p(D), the partitions' chances, every block's chance, the law of its centre and of its tasks' w, every
 * task's law, and how log p(D) gains by log sigma (`noise`) and log s_0 (`people`).
 */
export function weigh(stats, logSigma, sd, width) {
  const T = stats.length, parts = partitionsOf(T), v = variances(sd, width), middle = new Array(2).fill(MEAN_VARIANCE);
  const said = stats.map((one) => message(siteOf(one, logSigma), v.within)), blocks = [];
  const inside = [NOTHING];
  for (let block = 1; block < 1 << T; block++) {
    const last = 31 - Math.clz32(block), rest = inside[block ^ (1 << last)], one = said[last];
    inside[block] = { precision: add(rest.precision, one.precision), natural: add(rest.natural, one.natural), constant: rest.constant + one.constant };
    blocks[block] = { ...message(inside[block], v.between), about: new Mixture() };
  }
  const wholes = parts.map((part) => {
    const precision = [0, 0, 0], natural = [0, 0];
    let constant = part.logPrior;
    for (const block of part.blocks) {
      const one = blocks[block];
      for (let i = 0; i < 3; i++) precision[i] += one.precision[i];
      for (let i = 0; i < 2; i++) natural[i] += one.natural[i];
      constant += one.constant;
    }
    return message({ precision, natural, constant }, middle);
  });
  const evidence = logSumExp(wholes.map((one) => one.constant)), chances = wholes.map((one) => Math.exp(one.constant - evidence));
  const population = new Mixture();
  wholes.forEach(({ loc: mean, spread: covariance }, i) => {
    population.add(chances[i], { mean, covariance });
    for (const block of parts[i].blocks) blocks[block].about.add(chances[i], { mean, covariance });
  });
  const laws = stats.map(() => new Mixture()), people = [0, 0], insides = [];
  for (let block = 1; block < 1 << T; block++) {
    const one = blocks[block], { weight } = one.about;
    if (!(weight > 0)) continue;
    const centre = downwards(one, one.about.law), between = gains(one, one.about.law), within = [0, 0], own = {};
    for (const t of tasksOf(block)) {
      own[t] = downwards(said[t], centre);
      laws[t].add(weight, own[t]);
      gains(said[t], centre).forEach((gain, i) => (within[i] += gain));
    }
    insides[block] = { chance: weight, laws: own };
    for (let i = 0; i < 2; i++) people[i] += 2 * weight * (v.within[i] * within[i] + v.between[i] * between[i]);
  }
  const found = laws.map((one) => one.law), p = Math.exp(-2 * logSigma);
  const noise = found.reduce((sum, law, t) => sum + p * residual(stats[t], law) - stats[t].n, 0);
  return { evidence, chances, blocks: insides, laws: found, noise, people, population: population.law };
}

/** Where log p(D) with its hyperpriors is greatest in log sigma, unless that is given, and log s_0, near a start. */
function ascend(stats, given, width, start) {
  const at = given === null ? 1 : 0, rows = stats.reduce((sum, one) => sum + one.n, 0);
  const place = (x) => {
    const noise = at ? bounded(x[0]) : { value: given, slope: 0 }, people = [bounded(x[at]), bounded(x[at + 1])];
    return { noise, people, logSigma: noise.value, sd: people.map((one) => Math.exp(one.value)) };
  };
  const objective = (x) => {
    const { noise, people, logSigma, sd } = place(x), found = weigh(stats, logSigma, sd, width), weak = priors(given, x);
    const gradient = people.map((one, i) => found.people[i] * one.slope + weak.people[i]);
    if (at) gradient.unshift(found.noise * noise.slope + weak.noise);
    return { value: found.evidence + weak.value, gradient };
  };
  const curvature = [...(at ? [2 * rows + 2] : []), 2 * stats.length + 2, 2 * stats.length + 2];
  const found = climb(objective, start.slice(1 - at), curvature);
  return { ...place(found.x), value: found.value, prior: priors(given, found.x).value, steps: found.steps, settled: found.settled };
}

/** Log density of the hyperpriors on what is learned, with its slopes; that of m_0 is part of the evidence. */
function priors(given, x) {
  const at = given === null ? 1 : 0, noise = at ? noiseHyperprior(x[0]) : { value: 0, slope: 0 };
  const people = populationHyperprior([0, 0], [x[at], x[at + 1]]);
  return { value: noise.value + people.value + AT_ZERO, noise: noise.slope, people: people.logSd };
}

/** A row of chances: to share a group with each other task, and to be alone. */
function pairsOf(found, t, T) {
  const row = new Array(T + 1).fill(0);
  found.blocks.forEach(({ chance }, block) => {
    if (!((block >> t) & 1)) return;
    const others = tasksOf(block ^ (1 << t));
    if (!others.length) row[T] += chance;
    for (const k of others) row[k] += chance;
  });
  return row;
}

/** The groups that task t may be in: chances before it has spoken and after, and what they say of it. */
const companiesOf = (before, after, t) => before.blocks.map(({ chance, laws }, block) => ({ block, chance, law: laws[t] }))
  .filter(({ block }) => (block >> t) & 1)
  .map(({ block, chance, law }) => ({ tasks: tasksOf(block ^ (1 << t)), alpha: chance, phi: after.blocks[block]?.chance ?? 0, law }));

const EMPTY = { n: 0, gram: [0, 0, 0], cross: [0, 0], square: 0 };

/**
 * Everything about some lines in groups, in standard units.
 *
 * @param own the own-data half, where the search begins: from its population, and from one as wide as the data.
 * @param given log sigma, null if learned.
 */
export function fitGroups(stats, own, given, width) {
  const T = stats.length, starts = [own.population.logSd, [0, 0]].map((logSd) => [own.logSigma, ...logSd]);
  const [one, other] = starts.map((start) => ascend(stats, given, width, start)), best = other.value > one.value ? other : one;
  const { logSigma, sd } = best, after = weigh(stats, logSigma, sd, width);
  const without = stats.map((_, t) => weigh(stats.map((rows, k) => (k === t ? { ...EMPTY, logUnit: rows.logUnit } : rows)), logSigma, sd, width));
  const likelihood = stats.map((rows, t) => logLikelihood(rows, after.laws[t], logSigma)), { mean, covariance } = after.population;
  return {
    laws: after.laws, logSigma, logSd: sd.map(Math.log), evidence: after.evidence, likelihood,
    kl: likelihood.map((fit, t) => fit - after.evidence + without[t].evidence),
    hyperprior: best.prior / T, elbo: best.value / T,
    population: { mean, covariance: [covariance[0] + sd[0] ** 2, covariance[1], covariance[2] + sd[1] ** 2] },
    alpha: without.map((found, t) => pairsOf(found, t, T)), phi: stats.map((_, t) => pairsOf(after, t, T)),
    companies: without.map((found, t) => companiesOf(found, after, t)),
    partitions: partitionsOf(T).map(({ blocks }, i) => ({ blocks: blocks.map(tasksOf), chance: after.chances[i] })).sort((a, b) => b.chance - a.chance),
    steps: one.steps + other.steps, settled: best.settled,
  };
}
