// The life of one view: its root element, redrawing when a trait changes, and cleaning up.
import { html, say } from "./axes.js";

/** At most one call of `work` an animation frame. */
export function perFrame(work) {
  let frame = 0;
  const ask = () => { frame ||= requestAnimationFrame(() => { frame = 0; work(); }); };
  ask.cancel = () => cancelAnimationFrame(frame);
  return ask;
}

/**
 * Puts a view of `model` into `el`; returns what undoes it (the contract of anywidget's `render`).
 * `build({ root, get, set, announce })` makes the controls and returns `draw()`, which redraws
 * everything and returns what it shows; that is kept, as JSON, in the root's data-values.
 */
export function mount({ model, el, name, traits, build }) {
  const root = html("section", { class: `vmtl vmtl-${name}`, "aria-label": model.get("question") });
  const spoken = html("p", { class: "vmtl-spoken", "aria-live": "polite" });
  const question = html("p", { class: "vmtl-question" }, model.get("question"));
  root.append(question, spoken);
  el.append(root);
  const save = perFrame(() => model.save_changes());
  let timer = 0;
  const draw = build({
    root,
    get: (trait) => model.get(trait),
    set(trait, value) { model.set(trait, value); save(); },
    announce(words) {                       // once the reader's hand rests, not at every step
      clearTimeout(timer);
      timer = setTimeout(() => { spoken.textContent = words; }, 500);
    },
  });
  const redraw = () => {
    const start = performance.now();
    say(question, model.get("question"));
    root.dataset.values = JSON.stringify(draw());
    root.dataset.drawMs = (performance.now() - start).toFixed(2);
  };
  const soon = perFrame(redraw);
  for (const trait of ["question", ...traits]) model.on(`change:${trait}`, soon);
  let width = root.clientWidth;
  const resized = new ResizeObserver(() => {
    if (root.clientWidth !== width) { width = root.clientWidth; soon(); }
  });
  resized.observe(root);
  redraw();
  return () => {
    for (const trait of ["question", ...traits]) model.off(`change:${trait}`, soon);
    resized.disconnect();
    soon.cancel();
    save.cancel();
    clearTimeout(timer);
    root.remove();
  };
}
