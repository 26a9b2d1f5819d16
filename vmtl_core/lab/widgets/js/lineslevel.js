// Where the slopes of something vanish that nothing climbs: a fixed point, by D. Anderson's mixing (Iterative
// Procedures for Nonlinear Integral Equations, 1965).

/** Earlier steps that are remembered; a size of slopes, against the first, at which the search has failed. */
const MEMORY = 15, LOST = 1e3;

const size = (v) => Math.sqrt(v.reduce((sum, one) => sum + one * one, 0));

/**
 * x near `start` where `slopes(x)` is 0: { x, steps, settled }.
 *
 * @param curvature about how fast each slope falls along its own number.
 */
export function level(slopes, start, curvature, still = 1e-10, most = 300) {
  const n = start.length, scaled = (at) => slopes(at).map((v, i) => v / curvature[i]);
  const moves = [], turns = [];
  let x = Float64Array.from(start), f = scaled(x), best = { x, size: size(f) }, steps = 0;
  const first = best.size;
  for (; steps < most && best.size > still; steps++) {
    const weights = leastSquares(turns, f), next = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      next[i] = x[i] + f[i];
      for (let j = 0; j < weights.length; j++) next[i] -= weights[j] * (moves[j][i] + turns[j][i]);
    }
    const there = scaled(next), found = size(there);
    if (!(found < LOST * first)) break;
    moves.push(next.map((v, i) => v - x[i]));
    turns.push(there.map((v, i) => v - f[i]));
    if (moves.length > MEMORY) {
      moves.shift();
      turns.shift();
    }
    x = next;
    f = there;
    if (found < best.size) best = { x, size: found };
  }
  return { x: best.x, steps, settled: best.size <= 1e2 * still };
}

/** Weights with which the columns make up `target` best, by orthogonalising them one after the other. */
function leastSquares(columns, target) {
  const basis = [], upper = [], kept = [];
  columns.forEach((column, j) => {
    const rest = Float64Array.from(column), row = [];
    for (const one of basis) {
      let sum = 0;
      for (let i = 0; i < rest.length; i++) sum += one[i] * rest[i];
      for (let i = 0; i < rest.length; i++) rest[i] -= sum * one[i];
      row.push(sum);
    }
    const norm = size(rest);
    if (!(norm > 1e-10 * size(column))) return;
    basis.push(rest.map((v) => v / norm));
    upper.push([...row, norm]);
    kept.push(j);
  });
  const said = basis.map((one) => one.reduce((sum, v, i) => sum + v * target[i], 0)), weights = new Array(columns.length).fill(0);
  for (let a = basis.length - 1; a >= 0; a--) {
    let sum = said[a];
    for (let b = a + 1; b < basis.length; b++) sum -= upper[b][a] * weights[kept[b]];
    weights[kept[a]] = sum / upper[a][a];
  }
  return weights;
}
