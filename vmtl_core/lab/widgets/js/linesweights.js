// The plane of the weights: posteriors of all tasks, and what the chosen task's prior is made of.
import { bottomAxis, colourClass, dashOf, format, leftAxis, linearScale, linearTicks, marker, panel, say, svg, uniqueId } from "./axes.js";
import { dragHandle } from "./controls.js";
import { paint } from "./linespoints.js";
import { shifted } from "./linesstate.js";

const RADIUS = Math.sqrt(-2 * Math.log(0.1)), LEFT = 30, TOP = 6, FOOT = 36, STEP = 0.05, FAINT = 0.01, REACH = [2.6, 2.4];
const minus = (t) => String(t).replace("-", "−");

/** Where 90 % of a law lie. */
function ellipse({ x, y }, { mean, covariance: [[a, b], [, c]] }, attributes) {
  const middle = (a + c) / 2, reach = Math.hypot((a - c) / 2, b), unit = x(1) - x(0);
  const turn = (-90 / Math.PI) * Math.atan2(2 * b, a - c);
  return svg("ellipse", {
    rx: (unit * RADIUS * Math.sqrt(middle + reach)).toFixed(1), ry: (unit * RADIUS * Math.sqrt(Math.max(middle - reach, 0))).toFixed(1),
    transform: `translate(${x(mean[0]).toFixed(1)},${y(mean[1]).toFixed(1)}) rotate(${turn.toFixed(1)})`, ...attributes,
  });
}

/** What a part of a prior is made of; of a group, whom it holds beside the task. */
export function partName({ source, tasks }) {
  if (!tasks) return source < 0 ? "base prior" : `task ${source + 1}`;
  const names = tasks.map((t) => t + 1);
  if (!names.length) return "alone";
  return names.length === 1 ? `with task ${names[0]}` : `with tasks ${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** A component of the prior: fuller the more it explains, its outline thicker the more it weighs. */
function component(scale, one) {
  const look = one.source < 0 ? "vmtl-base" : colourClass(one.source);
  return ellipse(scale, one, {
    class: `vmtl-component ${look}`, "stroke-dasharray": one.source < 0 ? "1 5" : dashOf(one.source),
    "fill-opacity": (0.45 * one.phi).toFixed(3), style: `stroke-width: ${(0.6 + 3 * one.alpha).toFixed(2)}px`,
  });
}

/** Equal units in both directions. */
function scales(view) {
  const [width, height] = view.resize((w) => Math.round(Math.min(410, ((w - LEFT - 6) * REACH[1]) / REACH[0] + TOP + FOOT)));
  const right = width - 6, bottom = height - FOOT, unit = Math.min((right - LEFT) / (2 * REACH[0]), (bottom - TOP) / (2 * REACH[1]));
  const half = (right - LEFT) / unit / 2, tall = (bottom - TOP) / unit / 2;
  return { x: linearScale([-half, half], [LEFT, right]), y: linearScale([-tall, tall], [bottom, TOP]), right, bottom };
}

/** Handles on what a task's own data say; `move(t, by)` shifts its points by what the weights gain. */
function grips({ rowsOf, move }) {
  const root = svg("g");
  let scale;
  const made = Array.from({ length: 6 }, (_, t) => {
    const node = svg("g"), mark = marker(t, 0, 0, 5.5);
    let start, rows;
    node.append(svg("circle", { r: 13, class: "vmtl-grip" }), mark);
    node.classList.add("vmtl-own");
    const control = dragHandle(node, {
      label: `data of task ${t + 1}`,
      onGrab(x, y) { [start, rows] = [[x, y], rowsOf(t)]; },
      onDrag(x, y) { move(t, shifted(rows, [scale.x.invert(x) - scale.x.invert(start[0]), scale.y.invert(y) - scale.y.invert(start[1])])); },
      onKey(dx, dy) { move(t, shifted(rowsOf(t), [dy ? 0 : STEP * dx, STEP * dy])); },
    });
    root.append(node);
    return { node, control };
  });
  return {
    root,
    draw(at, alone) {
      scale = at;
      made.forEach(({ node, control }, t) => {
        node.toggleAttribute("hidden", t >= alone.length);
        if (t >= alone.length) return;
        const [up, slope] = alone[t].mean;
        paint(node, { transform: `translate(${scale.x(up).toFixed(1)},${scale.y(slope).toFixed(1)})` });
        control.say(slope, `alone: intercept ${format(up)}, slope ${format(slope)}`, [-REACH[1], REACH[1]]);
      });
    },
  };
}

/** The panel, with fewer words where it is `small`; see `grips`. */
export function weightsPanel({ rowsOf, move, small }) {
  const view = panel("weights", ""), id = uniqueId("weights"), frame = svg("rect", { x: LEFT, y: TOP });
  const axes = svg("g", { "aria-hidden": "true" }), inside = svg("g", { "clip-path": `url(#${id})`, "aria-hidden": "true" });
  const handles = grips({ rowsOf, move });
  view.drawing.setAttribute("role", "group");
  view.drawing.append(svg("defs", {}, svg("clipPath", { id }, frame)), axes, inside, handles.root);
  let laid = "";

  function draw({ q, alone, components, chosen, sources, restless }) {
    const scale = scales(view), { x, y, right, bottom } = scale, size = `${right} ${bottom}`;
    if (size !== laid) {
      laid = size;
      paint(frame, { width: String(right - LEFT), height: String(bottom - TOP) });
      axes.replaceChildren(leftAxis(y, LEFT, { ticks: linearTicks(...y.domain, 5), gridTo: right, tickFormat: minus }),
        bottomAxis(x, bottom, { ticks: linearTicks(...x.domain, 7), tickFormat: minus, label: "intercept (across), slope (up)" }));
    }
    const parts = components[chosen].filter((one) => !one.tasks || Math.max(one.alpha, one.phi) >= FAINT), grouped = sources === "groups";
    inside.replaceChildren(...parts.map((one) => component(scale, one)),
      ellipse(scale, alone[chosen], { class: `vmtl-alone ${colourClass(chosen)}` }),
      ...q.map((one, t) => ellipse(scale, one, { class: `vmtl-posterior ${colourClass(t)}${t === chosen ? " vmtl-chief" : ""}` })),
      ...q.map((one, t) => marker(t, x(one.mean[0]), y(one.mean[1]), 4)));
    handles.draw(scale, alone);
    say(view.caption, small ? `Intercept and slope: what is believed of each line (solid, 90 %), and alone (hollow). Shaded: what task ${chosen + 1} hears of the others` : `Weights: posteriors (solid, 90 %), hollow marks: each task alone (drag one to move its data). Shaded: the prior of task ${chosen + 1}, ${grouped ? "a part for each group it may be in, fuller the likelier, thicker the likelier before its own data" : "a part fuller where φ, thicker where α is large"}`);
    if (restless) return view.describe("Posteriors of intercept and slope: there is no fit to tell of.");
    const said = (one) => `${partName(one)} alpha ${format(one.alpha)}, phi ${format(one.phi)}`;
    return view.describe(`Posteriors of intercept and slope: ${q.map(({ mean }, t) => `task ${t + 1} ${format(mean[0])}, ${format(mean[1])}`).join("; ")}. Prior of task ${chosen + 1}: ${parts.map(said).join("; ")}.`);
  }
  return { ...view, draw };
}
