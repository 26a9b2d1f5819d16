// Arithmetic of the widgets. Every function has a twin in torch; tests/browser/test_js_modules.py
// compares the two. Excluded entries are -Infinity: their weight is exactly 0.

/** log sum_k exp(v_k), safe for large, small and excluded entries. */
export function logSumExp(values) {
  let top = -Infinity;
  for (const v of values) if (v > top) top = v;
  if (top === -Infinity) return -Infinity;
  let sum = 0;
  for (const v of values) sum += Math.exp(v - top);
  return top + Math.log(sum);
}

/** log softmax(scores / temperature); stays finite where the weights themselves underflow. */
export function logSoftmax(scores, temperature = 1) {
  const scaled = Array.from(scores, (s) => s / temperature);
  const norm = logSumExp(scaled);
  return scaled.map((s) => s - norm);
}

export function softmax(scores, temperature = 1) {
  return logSoftmax(scores, temperature).map(Math.exp);
}

/** Scrambles a 32-bit integer (xorshift-multiply); `_noise.py` holds the same three lines. */
export function hash32(value) {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

/** `count` numbers in (0, 1), a function of the seed alone: bit for bit those of Python. */
export function uniforms(seed, count) {
  const start = hash32(seed);
  return Float64Array.from({ length: count }, (_, i) => (hash32(start + i) + 0.5) / 2 ** 32);
}

/** Gumbel(0, 1) variates of uniform ones: -log(-log u). */
export function gumbel(uniform) {
  return uniform.map((u) => -Math.log(-Math.log(u)));
}

/** Density of N(mean, sd^2) at x. */
export function normalPdf(x, mean, sd) {
  const z = (x - mean) / sd;
  return Math.exp(-0.5 * z * z) / (sd * Math.sqrt(2 * Math.PI));
}

/** KL(N(m, diag s^2) || N(n, diag r^2)), summed over the coordinates. */
export function klDiagonalGaussian(m, s, n, r) {
  let kl = 0;
  for (let d = 0; d < m.length; d++) {
    const ratio = (s[d] / r[d]) ** 2;
    const shift = (m[d] - n[d]) / r[d];
    kl += 0.5 * (ratio + shift * shift - 1 - Math.log(ratio));
  }
  return kl;
}

/** Mean over rows of a flat (rows, width) array. */
export function columnMeans(flat, width) {
  const sums = new Float64Array(width);
  for (let row = 0; row < flat.length; row += width) {
    for (let k = 0; k < width; k++) sums[k] += flat[row + k];
  }
  return sums.map((s) => (s * width) / flat.length);
}

/** softmax(scores / temperature) of every row of a flat (rows, width) array; same layout back. */
export function softmaxRows(flat, width, temperature) {
  const out = new Float64Array(flat.length);
  for (let row = 0; row < flat.length; row += width) {
    let top = -Infinity;
    for (let k = row; k < row + width; k++) if (flat[k] > top) top = flat[k];
    let sum = 0;
    for (let k = row; k < row + width; k++) sum += out[k] = Math.exp((flat[k] - top) / temperature);
    for (let k = row; k < row + width; k++) out[k] /= sum;
  }
  return out;
}

/** `count` standard normal variates of a seed, by Box and Muller's method; those of Python. */
export function normals(seed, count) {
  const u = uniforms(seed, count + (count % 2)), out = new Float64Array(u.length);
  for (let i = 0; i < u.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(u[i])), angle = 2 * Math.PI * u[i + 1];
    out[i] = radius * Math.cos(angle);
    out[i + 1] = radius * Math.sin(angle);
  }
  return out.subarray(0, count);
}

/** log density of N(mean, diag sd^2) at x, summed over the coordinates. */
export function logNormalDiagonal(x, mean, sd) {
  let sum = 0;
  for (let d = 0; d < x.length; d++) {
    const z = (x[d] - mean[d]) / sd[d];
    sum -= 0.5 * z * z + Math.log(sd[d]) + 0.5 * Math.log(2 * Math.PI);
  }
  return sum;
}

// Rational approximation of the normal tail, from the highest power down (J. Hart, Computer
// Approximations, 1968; G. West, Better Approximations to Cumulative Normal Functions, 2005).
const TAIL_OVER = [
  0.0352624965998911, 0.700383064443688, 6.37396220353165, 33.912866078383, 112.079291497871, 221.213596169931,
  220.206867912376,
];
const TAIL_UNDER = [
  0.0883883476483184, 1.75566716318264, 16.064177579207, 86.7807322029461, 296.564248779674, 637.333633378831,
  793.826512519948, 440.413735824752,
];

/** Distribution function of N(0, 1) at x, to about 15 digits. */
export function normalCdf(x) {
  const z = Math.abs(x), height = Math.exp(-0.5 * z * z);
  let tail;
  if (z < 7.07106781186547) {
    let over = 0, under = 0;
    for (const c of TAIL_OVER) over = over * z + c;
    for (const c of TAIL_UNDER) under = under * z + c;
    tail = (height * over) / under;
  } else {
    tail = height / (z + 1 / (z + 2 / (z + 3 / (z + 4 / (z + 0.65))))) / Math.sqrt(2 * Math.PI);
  }
  return x > 0 ? 1 - tail : tail;
}

/**
 * Mean over the rows of softmax(row / tau) of a flat (rows, width) array, for every tau of
 * `highest` / 2^(i / 4), i < count: `count` arrays. Halving tau squares exp(score / tau), so that
 * only the first four temperatures need exponentials.
 */
export function meansOverTemperatures(flat, width, highest, count) {
  const rows = flat.length / width, powers = new Float64Array(flat.length), means = [];
  for (let quarter = 0; quarter < 4; quarter++) {
    const tau = highest / 2 ** (quarter / 4);
    for (let row = 0; row < flat.length; row += width) {
      let top = -Infinity;
      for (let k = row; k < row + width; k++) if (flat[k] > top) top = flat[k];
      for (let k = row; k < row + width; k++) powers[k] = Math.exp((flat[k] - top) / tau);
    }
    for (let i = quarter; i < count; i += 4) {
      const sums = new Float64Array(width);
      for (let row = 0; row < flat.length; row += width) {
        let sum = 0;
        for (let k = row; k < row + width; k++) sum += powers[k];
        const share = 1 / (sum * rows);
        for (let k = 0; k < width; k++) sums[k] += powers[row + k] * share;
      }
      means[i] = sums;
      for (let k = 0; k < flat.length; k++) powers[k] *= powers[k];
    }
  }
  return means;
}
