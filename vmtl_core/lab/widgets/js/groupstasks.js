// Where the tasks lie and what their data say of them. Python: _groups_model.py.
import { normals } from "./math.js";

export const TASKS = 12;
export const REACH = 2.5;
const SLANT = 0.6, GOLDEN = (Math.sqrt(5) - 1) / 2;

/** A coordinate within reach, to a hundredth. */
export const tidy = (v) => Math.min(REACH, Math.max(-REACH, Math.floor(100 * v + 0.5) / 100));

/** Estimates [x, y] of all tasks about the centres of a place. The first pair of a seed isn't used: at 0 it is extreme. */
export function arrange({ centres, sd }, seed) {
  const z = normals(seed, 2 * TASKS + 2);
  return Array.from({ length: TASKS }, (_, t) => centres[t % centres.length].map((c, d) => tidy(c + sd * z[2 * t + d + 2])));
}

/**
 * Sites of the tasks: exp(-w'Aw/2 + b'w + c). A symmetric matrix is [xx, xy, yy]; `covariance` is
 * that of the estimate.
 */
export function summaries(points, noise, rows) {
  return points.map(([x, y], t) => {
    const angle = 2 * Math.PI * GOLDEN * t, unit = rows / noise ** 2;
    const cos = SLANT * Math.cos(angle), sin = SLANT * Math.sin(angle);
    const A = [unit * (1 + cos), unit * sin, unit * (1 - cos)], det = A[0] * A[2] - A[1] ** 2;
    const b = [A[0] * x + A[1] * y, A[1] * x + A[2] * y];
    return { A, b, c: 0.5 * Math.log(det) - Math.log(2 * Math.PI) - 0.5 * (b[0] * x + b[1] * y),
      covariance: [A[2] / det, -A[1] / det, A[0] / det] };
  });
}
