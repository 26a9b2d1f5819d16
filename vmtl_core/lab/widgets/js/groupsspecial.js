// The gamma function's logarithm and its derivative, for x > 0, to about 14 digits.
// From x + 8 on Stirling's series, below it by recurrence. Twins: torch.lgamma, torch.digamma.
const FAR = 8, HALF_LOG_TAU = 0.5 * Math.log(2 * Math.PI);

/** log Gamma(x). */
export function logGamma(x) {
  let below = 1;
  while (x < FAR) below *= x++;
  const r = 1 / (x * x);
  const series = (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r * (1 / 1188 - r * (691 / 360360 - r / 156)))))) / x;
  return (x - 0.5) * Math.log(x) - x + HALF_LOG_TAU + series - Math.log(below);
}

/** Its derivative. */
export function digamma(x) {
  let below = 0;
  while (x < FAR) below += 1 / x++;
  const r = 1 / (x * x);
  const series = r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r * (1 / 132 - r * (691 / 32760 - r / 12))))));
  return Math.log(x) - 0.5 / x - series - below;
}
