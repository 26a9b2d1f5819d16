// Small regressions y = w0 + w1 x as sufficient statistics in the table's standard units. Python:
// vmtl_core/units.py and sites.py, of which this is the case of two weights. Symmetric matrices are
// xx, xy, yy.

/** a and b with which 0 stands for the middle of `values` and 1 for their spread. */
function spread(values) {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  return [mean, Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length)];
}

/** The units of a table, (5.13): w0 = a + b u0 - b c u1 / s and w1 = b u1 / s; `relative` false: u = w. */
export function unitsOf(tasks, relative) {
  if (!relative) return { a: 0, b: 1, c: 0, s: 1 };
  const x = tasks.flat().map((row) => row[0]), y = tasks.flat().map((row) => row[1]);
  const same = x.every((v) => v === x[0]), [a, height] = spread(y);
  const [c, s] = same ? [0, Math.abs(x[0]) || 1] : spread(x);
  return { a, b: height || 1, c, s };
}

/** What the likelihood needs of some rows: their number, sums of (1, u)(1, u)', of (1, u) v and of v^2. */
export function statistics(rows, { a, b, c, s }) {
  const found = { n: rows.length, gram: [rows.length, 0, 0], cross: [0, 0], square: 0, logUnit: Math.log(b) };
  for (const [x, y] of rows) {
    const u = (x - c) / s, v = (y - a) / b;
    found.gram[1] += u;
    found.gram[2] += u * u;
    found.cross[0] += v;
    found.cross[1] += u * v;
    found.square += v * v;
  }
  return found;
}

/** delta^2 I of w in standard units. */
export function widthInUnits(delta, { b, c, s }) {
  const v = (delta / b) ** 2;
  return [v * (1 + c * c), v * c * s, v * s * s];
}

/** A law of u, { mean, covariance: [xx, xy, yy] }, as one of w. */
export function toData({ mean: [m, n], covariance: [p, q, r] }, { a, b, c, s }) {
  const d = b / s, k = -c / s;
  const low = d * b * (q + k * r);
  return {
    mean: [a + b * (m + k * n), d * n],
    covariance: [[b * b * (p + 2 * k * q + k * k * r), low], [low, d * d * r]],
  };
}

export const determinant = ([p, q, r]) => p * r - q * q;

export function inverse([p, q, r]) {
  const det = p * r - q * q;
  return [r / det, -q / det, p / det];
}

export const times = ([p, q, r], [x, y]) => [p * x + q * y, q * x + r * y];

/** sum of a_ij b_ij of two symmetric matrices. */
export const trace = (a, b) => a[0] * b[0] + 2 * a[1] * b[1] + a[2] * b[2];

/** E |v - (1, u) w|^2 summed over the rows, w ~ N(mean, covariance). */
export function residual({ gram, cross, square }, { mean: [m, n], covariance: [p, q, r] }) {
  return square - 2 * (cross[0] * m + cross[1] * n) + trace(gram, [p + m * m, q + m * n, r + n * n]);
}

/** E log p(y_t|w) in units of the data. */
export function logLikelihood(stats, q, logSigma) {
  const each = logSigma + stats.logUnit + 0.5 * Math.log(2 * Math.PI);
  return -0.5 * Math.exp(-2 * logSigma) * residual(stats, q) - stats.n * each;
}

/** Bayes' rule for rows of noise exp(logSigma) and a prior of given precision and natural mean. */
export function posterior({ gram, cross }, logSigma, precision, natural) {
  const p = Math.exp(-2 * logSigma);
  const whole = gram.map((g, i) => p * g + precision[i]), covariance = inverse(whole);
  return { mean: times(covariance, [p * cross[0] + natural[0], p * cross[1] + natural[1]]), covariance };
}
