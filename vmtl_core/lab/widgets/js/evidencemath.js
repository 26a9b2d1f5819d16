// A line, its exact posterior and a Gaussian q: the terms of (1.4). Python: _evidence_model.py.
// A symmetric 2 x 2 matrix is [xx, xy, yy].
const LOG_2PI = Math.log(2 * Math.PI);
export const NOISE = [0.1, 5];
export const SCALE = [0.1, 5];
const SLANT = [-0.99999, 0.99999];
const inside = (v, [low, high]) => Math.min(high, Math.max(low, v));

const det = ([a, b, c]) => a * c - b * b;
const inverse = (m) => [m[2] / det(m), -m[1] / det(m), m[0] / det(m)];
const quadratic = ([a, b, c], [u, v]) => a * u * u + 2 * b * u * v + c * v * v;
const traceOf = (p, q) => p[0] * q[0] + 2 * p[1] * q[1] + p[2] * q[2];

/** What the data say: sums over the points, with inputs counted as x + shift. */
function sums({ x, y, shift }) {
  const total = { n: x.length, gram: [x.length, 0, 0], push: [0, 0], yy: 0 };
  x.forEach((at, i) => {
    const u = at + shift;
    total.gram[1] += u;
    total.gram[2] += u * u;
    total.push[0] += y[i];
    total.push[1] += u * y[i];
    total.yy += y[i] * y[i];
  });
  return total;
}

/** Precision of the prior at scale 1; carried along, it says of every line what it said at shift 0. */
const unitPrior = ({ shift, same_lines }) => (same_lines ? [1, shift, 1 + shift * shift] : [1, 0, 1]);

/** Mean and covariance of q from its two means, standard deviations and correlation. */
export const lawOf = ({ mean, sds: [s, t], slant }) => ({ mean, covariance: [s * s, slant * s * t, t * t] });

/** The prior and (1.5), each { mean, covariance, precision }. */
export function lawsOf(now) {
  const { gram, push } = sums(now), weight = now.noise ** -2;
  const prior = unitPrior(now).map((v) => v / now.scale ** 2);
  const precision = prior.map((v, i) => v + weight * gram[i]), covariance = inverse(precision);
  const mean = [
    weight * (covariance[0] * push[0] + covariance[1] * push[1]), weight * (covariance[1] * push[0] + covariance[2] * push[1]),
  ];
  return { prior: { mean: [0, 0], covariance: inverse(prior), precision: prior }, posterior: { mean, covariance, precision } };
}

/** KL(q || p) of two Gaussians. */
function divergence(q, p) {
  const off = [q.mean[0] - p.mean[0], q.mean[1] - p.mean[1]];
  return 0.5 * (traceOf(p.precision, q.covariance) + quadratic(p.precision, off) - 2 - Math.log(det(p.precision)) - Math.log(det(q.covariance)));
}

/** E_q ||y - X w||^2. */
function squares({ gram, push, yy }, { mean, covariance }) {
  return yy - 2 * (mean[0] * push[0] + mean[1] * push[1]) + quadratic(gram, mean) + traceOf(gram, covariance);
}

/** log p(y), with the weights integrated out. */
function evidenceOf(now) {
  const { n, push, yy } = sums(now), weight = now.noise ** -2, { prior, posterior } = lawsOf(now);
  const explained = weight * (posterior.mean[0] * push[0] + posterior.mean[1] * push[1]);
  return 0.5 * (-n * (LOG_2PI + 2 * Math.log(now.noise)) - weight * yy + explained + Math.log(det(prior.precision)) - Math.log(det(posterior.precision)));
}

/** fit, KL, gap and log evidence of q = lawOf(now), in nats. */
export function termsOf(now) {
  const total = sums(now), q = lawOf(now), { prior, posterior } = lawsOf(now);
  const fit = -0.5 * (total.n * (LOG_2PI + 2 * Math.log(now.noise)) + squares(total, q) / now.noise ** 2);
  return { fit, kl: divergence(q, prior), gap: divergence(q, posterior), evidence: evidenceOf(now) };
}

/** The q of the smallest gap in its family, as { mean, sds, slant }. */
export function eStep(now) {
  const { mean, covariance: [a, b, c], precision } = lawsOf(now).posterior;
  if (now.family === "diagonal") return { mean, sds: [precision[0] ** -0.5, precision[2] ** -0.5], slant: 0 };
  return { mean, sds: [Math.sqrt(a), Math.sqrt(c)], slant: inside(b / Math.sqrt(a * c), SLANT) };
}

/** (1.6): the noise of the greatest bound for q. */
export const mStepNoise = (now) => inside(Math.sqrt(squares(sums(now), lawOf(now)) / now.x.length), NOISE);

/** The prior's scale of the greatest bound for q. */
export function mStepScale(now) {
  const { mean, covariance } = lawOf(now), unit = unitPrior(now);
  return inside(Math.sqrt((traceOf(unit, covariance) + quadratic(unit, mean)) / 2), SCALE);
}

/** Standard deviation of the line at the unshifted input x, under a law of the weights. */
export const sdOfLine = ({ covariance }, x, shift) => Math.sqrt(quadratic(covariance, [1, x + shift]));

/** Correlation of the two weights. */
export const correlation = ([a, b, c]) => b / Math.sqrt(a * c);
