// Two tasks that are each other's prior: the closed forms of chapters 11 and 12. Python: lab/experiments/echo.py.
// `square` is s^2 = sigma^2 / N, `spread` is delta^2. Each returns { gap, variance }.
const HALVINGS = 80;

/** Every reading counted once: the posterior of both tasks under w_2 = w_1 + N(0, delta^2). */
export function exactPair(difference, square, spread) {
  const variance = (square * (square + spread)) / (2 * square + spread);
  return { gap: (difference * spread) / (2 * square + spread), variance };
}

/** (11.6): after so many rounds, each under the other's last posterior, widened. */
export function previousPair(difference, square, spread, rounds) {
  let gap = difference, variance = square;
  for (let r = 1; r < rounds; r++) {
    const prior = variance + spread;
    variance = 1 / (1 / square + 1 / prior);
    gap = variance * (difference / square - gap / prior);
  }
  return { gap, variance };
}

/** (12.2): each under the other's own-data posterior, widened. */
export const ownPair = (difference, square, spread) => previousPair(difference, square, spread, 2);

/** (12.4), by bisection; without width the fused lasso (11.4). */
export function jointPair(difference, square, spread) {
  const far = Math.abs(difference), se = Math.sqrt(square);
  let variance = Math.max(far - 4 * se, 0) * se;
  if (spread > 0) {
    let low = 0, high = Math.SQRT2 * far * se + 2 * square;
    for (let i = 0; i < HALVINGS; i++) {
      const v = (low + high) / 2, wide = v + spread;
      const pull = (far / (wide + 4 * square)) ** 2 + (spread / wide) ** 2 / v;
      if (pull > 1 / square) low = v; else high = v;
    }
    variance = (low + high) / 2;
  }
  return { gap: (difference * (variance + spread)) / (variance + spread + 4 * square), variance };
}

/** By the name of the sources. */
export function echoPair(sources, difference, square, spread, rounds) {
  if (sources === "own") return ownPair(difference, square, spread);
  if (sources === "joint") return jointPair(difference, square, spread);
  return previousPair(difference, square, spread, rounds);
}
