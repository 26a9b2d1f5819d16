// Encoders and rows, the prior of every row's latent, and KL_z against the temperature.
import {
  bottomAxis, colourClass, dashOf, format, formatLog, leftAxis, line, linearScale, linearTicks, logScale, marker, panel, svg, text, uniqueId,
} from "./axes.js";
import { dragHandle } from "./controls.js";
import { encode, TAUS } from "./latentmath.js";
import { normalPdf } from "./math.js";

const X = [-2.2, 2.2], Z = [-3, 3], REACH = [-2, 2];
const minus = (t) => String(t).replace("-", "−"), sure = (v, [low, high]) => Math.min(high, Math.max(low, v));

/** Both encoders over x; the receiver's rows are dragged, `at(n)` and `move(n, x)` are theirs. */
export function encodersPanel({ count, at, move }) {
  const view = panel("encoders", "");
  view.drawing.setAttribute("role", "group");
  const id = uniqueId("encoders"), frame = svg("rect", { y: 8 }), picture = svg("g", { "aria-hidden": "true" });
  let x = linearScale(X, [0, 1]);
  const tidy = (v) => Number(sure(Math.round(v * 20) / 20, REACH).toFixed(6));
  const knobs = Array.from({ length: count }, (_, n) => {
    const node = svg("g"), control = dragHandle(node, {
      label: `row ${n + 1}`, onDrag: (px) => move(n, tidy(x.invert(px))), onKey: (dx, dy) => move(n, tidy(at(n) + 0.05 * (dx || dy))),
    });
    return { node, control };
  });
  view.drawing.append(svg("defs", {}, svg("clipPath", { id }, frame)), picture, ...knobs.map((k) => k.node));
  function draw(now) {
    view.caption.textContent = `Encoders q(z | x) of both tasks (± 1 sd) on the rows of task ${now.receiver}: drag a row, or use the arrow keys`;
    const [width, height] = view.resize((w) => (w > 420 ? 340 : 290)), left = 34, right = width - 8, bottom = height - 38;
    x = linearScale(X, [left, right]);
    const y = linearScale(Z, [bottom, 8]);
    for (const [name, value] of Object.entries({ x: left, width: right - left, height: bottom - 8 })) frame.setAttribute(name, value);
    const ends = (t, shift) => X.map((v) => { const { mean, sd } = encode(now, t, v); return [x(v), y(mean + shift * sd)]; });
    picture.replaceChildren(
      leftAxis(y, left, { ticks: linearTicks(...Z, 6), gridTo: right, tickFormat: minus }), bottomAxis(x, bottom, { ticks: [-2, -1, 0, 1, 2], tickFormat: minus, label: "input x (across), latent z (up)" }),
      svg("g", { "clip-path": `url(#${id})` }, [0, 1].map((t) => [
        svg("path", { class: `vmtl-band ${colourClass(t)}`, d: `${line(ends(t, 1))}${line(ends(t, -1).reverse()).replace("M", "L")}Z` }),
        svg("path", { class: `vmtl-curve ${colourClass(t)}${t === now.receiver ? " vmtl-own" : ""}`, "stroke-dasharray": t === now.receiver ? null : dashOf(t), d: line(ends(t, 0)) })])),
      [0, 1].map((t) => text(right - 4, sure(y(encode(now, t, X[1] - 0.1).mean) - 8, [20, bottom - 6]), `task ${t}`, { "text-anchor": "end", class: "vmtl-name" })));
    knobs.forEach(({ node, control }, n) => {
      const v = now.rows[now.receiver][n], own = y(encode(now, now.receiver, v).mean), other = y(encode(now, 1 - now.receiver, v).mean);
      node.replaceChildren(svg("rect", { class: "vmtl-grip", x: x(v) - 16, y: 8, width: 32, height: bottom - 8 }),
        svg("path", { class: "vmtl-row", d: `M${x(v)},${bottom}V8` }), svg("path", { class: "vmtl-now-head", d: `M${x(v) - 6},${bottom - 11}h12l-6,11Z` }),
        marker(now.receiver, x(v), sure(own, [8, bottom]), 5.5), marker(1 - now.receiver, x(v), sure(other, [8, bottom]), 5.5), text(x(v) + 5, 18, String(n + 1), { class: "vmtl-name" }));
      control.say(v, `x ${format(v)}`, REACH);
    });
    view.describe(`Encoders: ${[0, 1].map((t) => `task ${t} has slope ${format(now.slopes[t])}, intercept ${format(now.intercepts[t])}, sd ${format(now.sds[t])}`).join("; ")}. ` +
      `Rows of task ${now.receiver} at ${now.rows[now.receiver].map((v) => format(v)).join(", ")}.`);
  }
  return { ...view, draw };
}

/** For every row: q, the prior's parts times beta and their sum, and the KL. */
export function priorsPanel() {
  const view = panel("priors", "Each row's z: q (line), prior (filled) = β × other's encoder + β × base (dashed), and the KL");
  const ROW = 92;
  function draw(now) {
    const list = now.rows[now.receiver], [width, height] = view.resize(ROW * list.length + 44);
    const right = width - 78, z = linearScale(Z, [8, right]), grid = Array.from({ length: 121 }, (_, i) => Z[0] + i / 20), beta = now.beta;
    const rows = list.flatMap((v, n) => {
      const q = encode(now, now.receiver, v), other = encode(now, 1 - now.receiver, v), floor = ROW * (n + 1) - 4;
      const laws = [other, { mean: 0, sd: 1 }], parts = laws.map(({ mean, sd }, k) => grid.map((at) => beta[k] * normalPdf(at, mean, sd)));
      const y = linearScale([0, 1.35], [floor, floor - ROW + 12]), curve = (values) => line(grid.map((at, i) => [z(at), y(Math.min(values[i], 1.42))]));
      return [
        svg("path", { class: "vmtl-prior-area", d: `${curve(grid.map((_, i) => parts[0][i] + parts[1][i]))}V${floor}H${z(Z[0])}Z` }),
        svg("path", { class: `vmtl-part ${colourClass(1 - now.receiver)}`, "stroke-dasharray": dashOf(1 - now.receiver), d: curve(parts[0]) }),
        svg("path", { class: "vmtl-part vmtl-c6", "stroke-dasharray": dashOf(6), d: curve(parts[1]) }),
        svg("path", { class: "vmtl-q", d: curve(grid.map((at) => normalPdf(at, q.mean, q.sd))) }),
        svg("path", { class: "vmtl-grid", d: `M8,${floor}H${right}` }),
        text(8, floor - ROW + 24, `row ${n + 1}`, { class: "vmtl-name" }),
        text(right + 8, floor - 34, format(now.kl[n]), { class: "vmtl-number", "data-row": n }), text(right + 8, floor - 16, `φ ${format(now.phi[n][0])}`, { class: "vmtl-axis-label" })];
    });
    view.drawing.replaceChildren(...rows, text(right + 8, 12, "KL, nats", { class: "vmtl-axis-label" }),
      bottomAxis(z, height - 40, { ticks: linearTicks(...Z, 6), tickFormat: minus, label: "latent z; φ: share of the other task" }));
    view.describe(list.map((v, n) => `Row ${n + 1} at x ${format(v)}: KL ${format(now.kl[n])}, explained by the other task ${format(now.phi[n][0])}`).join("; ") + ".");
  }
  return { ...view, draw };
}

/** KL_z against tau, of this draw and on average, with a handle on tau; below it beta. */
export function temperaturePanel({ at, onTau }) {
  const view = panel("temperature", "");
  view.drawing.setAttribute("role", "group");
  const range = [TAUS[0], TAUS.at(-1)], picture = svg("g", { "aria-hidden": "true" }), handle = svg("g");
  view.drawing.append(picture, handle);
  let x = logScale(range, [0, 1]);
  const knob = dragHandle(handle, {
    label: "temperature tau in the plot of KL", onDrag: (px) => onTau(sure(x.invert(px), range)), onKey: (dx, dy) => onTau(sure(at() * 1.1 ** (dx || dy), range)),
  });
  function draw({ tau, beta, curves, total, noise, receiver }) {
    view.caption.textContent = noise ? "KL of z, all rows: this draw (line), mean over 200 draws (dotted)" : "KL of z, all rows, without noise in β";
    const [width, height] = view.resize(268), left = 34, right = width - 10, bottom = height - 78;
    x = logScale(range, [left, right]);
    const most = Math.max(...curves.first, ...curves.mean), power = 10 ** Math.floor(Math.log10(most)), top = power * [1, 1.2, 1.5, 2, 3, 5, 7, 10].find((m) => m * power >= most);
    const y = linearScale([0, top], [bottom, 10]), path = (values) => line(TAUS.map((t, i) => [x(t), y(values[i])]));
    const cut = left + (right - left) * beta[0], bar = bottom + 44;
    picture.replaceChildren(leftAxis(y, left, { ticks: linearTicks(0, top, 4), gridTo: right, tickFormat: minus }),
      bottomAxis(x, bottom, { ticks: [0.1, 1, 10], label: "temperature τ (log scale)" }),
      noise ? svg("path", { class: "vmtl-mean", d: path(curves.mean) }) : "", svg("path", { class: "vmtl-total", d: path(curves.first) }),
      svg("rect", { class: `vmtl-share ${colourClass(1 - receiver)}`, x: left, y: bar, width: Math.max(cut - left, 0), height: 24 }),
      svg("rect", { class: "vmtl-share vmtl-c6", x: cut, y: bar, width: Math.max(right - cut, 0), height: 24 }),
      text(left - 8, bar + 17, "β", { "text-anchor": "end" }),
      cut - left > 92 ? text((left + cut) / 2, bar + 17, `task ${1 - receiver}: ${format(beta[0])}`, { "text-anchor": "middle" }) : "",
      right - cut > 92 ? text((cut + right) / 2, bar + 17, `base: ${format(beta[1])}`, { "text-anchor": "middle" }) : "");
    handle.replaceChildren(svg("rect", { x: x(tau) - 16, y: 4, width: 32, height: bottom - 4, class: "vmtl-grip" }),
      svg("path", { d: `M${x(tau)},${bottom}V10`, class: "vmtl-row" }), svg("path", { d: `M${x(tau) - 6},2h12l-6,8Z`, class: "vmtl-now-head" }), marker(0, x(tau), y(total), 5));
    knob.say(tau, `tau ${formatLog(tau)}`, range);
    view.describe(`At tau ${formatLog(tau)} beta is ${format(beta[0])} on task ${1 - receiver} and ${format(beta[1])} on the base prior; KL of z ${format(total)}.`);
  }
  return { ...view, draw };
}
