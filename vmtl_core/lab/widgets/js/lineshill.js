// Climbing a smooth function of some tens of numbers: BFGS, its line search by W. Hager and H. Zhang, A New
// Conjugate Gradient Method with Guaranteed Descent and an Efficient Line Search, 2005.

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function steepest(gradient) {
  let top = 0;
  for (let i = 0; i < gradient.length; i++) top = Math.max(top, Math.abs(gradient[i]));
  return top;
}

/** Of a value, what rounding may have done to it; how much of a step's promise it must keep, and of its slope. */
const ROUNDING = 1e-13, KEPT = 1e-4, FLATTER = 0.9;

/**
 * Where `objective(x)`, { value, gradient }, is greatest near `start`: { x, value, steps, settled }.
 *
 * @param curvature about how bent the function is along each number.
 * @param still ends where no slope is steeper.
 */
export function climb(objective, start, curvature, still = 1e-10, most = 400) {
  const n = start.length, inverse = new Float64Array(n * n);
  let x = Float64Array.from(start), here = objective(x), steps = 0, fresh = true, promised = Infinity;
  reset(inverse, curvature);
  for (; steps < most && steepest(here.gradient) > still; steps++) {
    let direction = product(inverse, here.gradient);
    const next = along(objective, x, here, direction);
    promised = dot(direction, here.gradient);
    if (!next) {
      if (fresh) break;
      reset(inverse, curvature);
      fresh = true;
      continue;
    }
    const moved = new Float64Array(n), turned = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      moved[i] = next.x[i] - x[i];
      turned[i] = here.gradient[i] - next.there.gradient[i];
    }
    if (dot(moved, turned) > 0) update(inverse, moved, turned);
    fresh = false;
    ({ x, there: here } = next);
  }
  const settled = steepest(here.gradient) <= 1e3 * still || promised <= ROUNDING * (1 + Math.abs(here.value));
  return { x, value: here.value, steps, settled };
}

function reset(inverse, curvature) {
  inverse.fill(0);
  curvature.forEach((c, i) => (inverse[i * (curvature.length + 1)] = 1 / c));
}

function product(matrix, vector) {
  const n = vector.length, out = new Float64Array(n);
  for (let i = 0, at = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += matrix[at++] * vector[j];
    out[i] = sum;
  }
  return out;
}

/** The first of ever shorter steps that gains enough, or, where gains drown in rounding, that flattens the way. */
function along(objective, x, here, direction) {
  const slope = dot(direction, here.gradient), noise = ROUNDING * (1 + Math.abs(here.value)), n = x.length;
  if (!(slope > 0)) return null;
  for (let size = Math.min(1, 5 / steepest(direction)), tries = 0; tries < 40; tries++) {
    const at = new Float64Array(n);
    for (let i = 0; i < n; i++) at[i] = x[i] + size * direction[i];
    const there = objective(at), gain = there.value - here.value;
    if (gain >= KEPT * size * slope && gain > noise) return { x: at, there };
    if (gain >= -noise && Math.abs(dot(direction, there.gradient)) <= FLATTER * slope) return { x: at, there };
    const better = (0.5 * slope * size * size) / (slope * size - gain);
    size = better > 0.1 * size && better < 0.7 * size ? better : 0.3 * size;
  }
  return null;
}

/** The inverse curvature that explains how the gradient `turned` over what was `moved`. */
function update(inverse, moved, turned) {
  const n = moved.length, along = dot(moved, turned), bent = product(inverse, turned);
  const scale = (1 + dot(turned, bent) / along) / along;
  for (let i = 0; i < n; i++) {
    const m = scale * moved[i] - bent[i] / along, b = moved[i] / along, row = i * n;
    for (let j = 0; j < n; j++) inverse[row + j] += m * moved[j] - b * bent[j];
  }
}
