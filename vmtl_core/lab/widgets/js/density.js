// The density of a mixture in one dimension, with its weighted components dashed.
import {
  bottomAxis, colourClass, dashOf, format, line, linearScale, linearTicks, marker, panel, svg, text,
} from "./axes.js";
import { normalPdf } from "./math.js";

const POINTS = 241;

/** Densities on an even grid over [low, high]: { x, components: [k][i], mixture: [i] }. */
export function mixtureDensity(weights, means, sds, low, high, count = POINTS) {
  const x = Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
  const components = weights.map((w, k) => x.map((at) => w * normalPdf(at, means[k], sds[k])));
  const mixture = x.map((_, i) => components.reduce((sum, c) => sum + c[i], 0));
  return { x, components, mixture };
}

/** Panel of a mixture prior. The axes hold still while the weights change. */
export function densityPanel() {
  const view = panel("density", "");
  return {
    ...view,
    draw({ density, weights, means, sds, names, sources }, receiver) {
      view.caption.textContent =
        `Prior of one weight w of ${receiver} in this draw: sources times α (dashed) and their sum (solid)`;
      const [width, height] = view.resize((w) => (w > 480 ? 200 : 262));
      const bottom = height - 38, x = linearScale([density.x[0], density.x.at(-1)], [8, width - 8]);
      const top = Math.max(...sds.map((s) => normalPdf(0, 0, s)));
      const y = linearScale([0, top], [bottom, 14]);
      const outline = line(density.x.map((at, i) => [x(at), y(density.mixture[i])]));
      view.drawing.replaceChildren(
        svg("path", { d: `${outline}V${bottom}H${x(density.x[0])}Z`, class: "vmtl-area" }),
        ...density.components.map((c, k) => svg("path", {
          d: line(density.x.map((at, i) => [x(at), y(c[i])])), class: `vmtl-curve ${colourClass(sources[k])}`,
          "stroke-dasharray": dashOf(sources[k]),
        })),
        svg("path", { d: outline, class: "vmtl-sum" }),
        ...weights.map((w, k) => marker(sources[k], x(means[k]), y(w * normalPdf(0, 0, sds[k])))),
        text(8, 10, "density", { class: "vmtl-axis-label" }),
        bottomAxis(x, bottom, {
          ticks: linearTicks(density.x[0], density.x.at(-1), 7), tickFormat: (t) => String(t).replace("-", "−"),
          label: "value of the weight w",
        }));
      const parts = names.map((name, k) =>
        `${format(weights[k])} times normal with mean ${format(means[k])} and sd ${format(sds[k])} from ${name}`);
      view.describe(`Prior density of one weight of ${receiver}: ${parts.join("; ")}.`);
    },
  };
}
