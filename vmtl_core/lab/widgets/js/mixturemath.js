// A receiver's weight under the mixture prior: exact posterior and best Gaussian. Python: _mixture_model.py.
import { logSumExp, softmax } from "./math.js";
import { convex, exact, jensen, responsibilities } from "./mixturekl.js";

const LOG_2PI = Math.log(2 * Math.PI), NOISE = 1, BASE = [0, 1], ROUNDS = 300;
const logNormal = (x, mean, variance) => -0.5 * ((x - mean) ** 2 / variance + Math.log(variance) + LOG_2PI);

/** The prior (2.4) as { weights, means, sds }: the sources, widened, and the base prior last. */
export function priorOf({ means, sds, width, base }) {
  return {
    weights: [...means.map(() => (1 - base) / means.length), base], means: [...means, BASE[0]],
    sds: [...sds.map((sd) => Math.hypot(sd, width)), BASE[1]],
  };
}

/** Posterior { mean, sd } under the product of the components to the powers phi. */
function posteriorUnder(phi, { means, sds }, centre, rows) {
  let precision = rows / NOISE ** 2, natural = precision * centre;
  phi.forEach((share, k) => {
    precision += share / sds[k] ** 2;
    natural += (share * means[k]) / sds[k] ** 2;
  });
  return { mean: natural / precision, sd: precision ** -0.5 };
}

/** log Z_k, (2.8), the posterior under each component alone, and log sum_k alpha_k Z_k. */
export function exactPosterior({ weights, means, sds }, centre, rows) {
  const scores = weights.map((a, k) => Math.log(a) + logNormal(centre, means[k], sds[k] ** 2 + NOISE ** 2 / rows));
  const each = weights.map((_, k) => posteriorUnder(weights.map((_, j) => (j === k ? 1 : 0)), { means, sds }, centre, rows));
  return {
    evidence: logSumExp(scores), weights: softmax(scores), means: each.map((p) => p.mean), sds: each.map((p) => p.sd),
  };
}

/** E_q log N(centre | w, noise^2 / rows). */
const fitOf = (q, centre, rows) => logNormal(centre, q.mean, NOISE ** 2 / rows) - (0.5 * rows * q.sd ** 2) / NOISE ** 2;

/** The Gaussian of the greatest ELBO under a bound on the KL to the prior, and what is lost. */
export function bestGaussian(method, prior, posterior, centre, rows) {
  const { weights } = prior, bound = method === "convex" ? convex : jensen;
  const starts = method === "convex" ? [weights] : [
    ...weights.map((_, k) => k).filter((k) => weights[k] > 0).map((k) => weights.map((_, j) => (j === k ? 1 : 0))), weights,
  ];
  const ends = starts.map((start) => {
    let phi = start;
    for (let i = 0; method !== "convex" && i < ROUNDS; i++) {
      const next = responsibilities(posteriorUnder(phi, prior, centre, rows), prior);
      const moved = Math.max(...next.map((v, k) => Math.abs(v - phi[k])));
      phi = next;
      if (moved < 1e-14) break;
    }
    const q = posteriorUnder(phi, prior, centre, rows);
    return { q, phi, elbo: fitOf(q, centre, rows) - bound(q, prior) };
  });
  const top = Math.max(...ends.map((end) => end.elbo)), best = ends.find((end) => end.elbo >= top - 1e-10);
  const whole = fitOf(best.q, centre, rows) - exact(best.q, prior);
  return { ...best, slack: whole - best.elbo, gap: posterior.evidence - whole };
}
