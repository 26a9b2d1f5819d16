// Starts the widgets stored in a page of the built book: no kernel, no network, also from file://.
//
// Jupyter Book stores the state of all widgets of a chapter in one script element and leaves one
// script element where each view belongs. A widget whose state holds its own JavaScript (`_esm`,
// as anywidget's do) is started from that; for any other the reader is told that it needs Python.
(() => {
  "use strict";
  const STATE = "application/vnd.jupyter.widget-state+json";
  const VIEW = "application/vnd.jupyter.widget-view+json";
  const NEEDS_KERNEL = "This control needs Python running behind it. To use it, open the chapter as a notebook, in Colab or JupyterLab.";

  const LOOK = `
    .static-widget { margin: 1rem 0; scroll-margin-top: 4rem; }
    .static-widget-note { border: 1px solid currentColor; border-left-width: 5px; border-radius: 6px; padding: .6rem .9rem; margin: 0; }
    .static-widget-wait { min-height: 24rem; display: grid; place-items: center; margin: 0; }`;

  /** The part of a model that front-end widgets use (anywidget's AFM), with no kernel behind it. */
  class Model {
    #state; #listeners = new Map();
    constructor(state, findModel, onError) {
      this.#state = state;
      this.onError = onError;
      this.widget_manager = { get_model: findModel };
    }
    get(name) { return this.#state[name]; }
    set(name, value) {
      const changes = typeof name === "object" ? Object.entries(name) : [[name, value]];
      const real = changes.filter(([k, v]) => !same(this.#state[k], v));
      for (const [k, v] of real) this.#state[k] = v;
      for (const [k, v] of real) this.#emit(`change:${k}`, this, v);
      if (real.length) this.#emit("change", this);
    }
    save_changes() {}                                    // no kernel to tell
    send() {}
    on(names, callback) {
      for (const name of names.split(/\s+/)) {
        this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), callback]);
      }
    }
    off(names, callback) {
      for (const name of names ? names.split(/\s+/) : [...this.#listeners.keys()]) {
        const left = callback ? (this.#listeners.get(name) ?? []).filter((f) => f !== callback) : [];
        this.#listeners.set(name, left);
      }
    }
    #emit(name, ...values) {
      for (const callback of this.#listeners.get(name) ?? []) {
        try { callback(...values); } catch (error) { this.onError(error); }
      }
    }
  }

  function same(a, b) {
    if (Object.is(a, b)) return true;
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
    if (a instanceof DataView || b instanceof DataView) return false;
    return JSON.stringify(a) === JSON.stringify(b);
  }

  function bytes({ data, encoding }) {
    const values = encoding === "hex"
      ? (data.match(/../g) ?? []).map((pair) => parseInt(pair, 16))
      : Array.from(atob(data), (c) => c.charCodeAt(0));
    return new DataView(Uint8Array.from(values).buffer);
  }

  /** A model's state with its binary buffers put where they belong. */
  function stateOf(stored) {
    const state = structuredClone(stored.state);
    for (const buffer of stored.buffers ?? []) {
      const owner = buffer.path.slice(0, -1).reduce((part, key) => part[key], state);
      owner[buffer.path.at(-1)] = bytes(buffer);
    }
    return state;
  }

  function note(el, words, role) {
    const p = document.createElement("p");
    p.className = "static-widget-note";
    p.setAttribute("role", role);
    p.textContent = words;
    el.replaceChildren(p);
  }

  function failed(el, error) {
    console.error(error);
    note(el, `This figure could not be started (${error.message ?? error}). The text and the picture ` +
      "below it still hold; or open the chapter as a notebook.", "alert");
  }

  const modules = new Map();      // source text -> its module: the same text is loaded once
  function load(esm) {
    if (!modules.has(esm)) {
      const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
      modules.set(esm, import(url).finally(() => URL.revokeObjectURL(url)));
    }
    return modules.get(esm);
  }

  const styles = new Set();
  function addStyle(css) {
    if (!css || styles.has(css)) return;
    styles.add(css);
    document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  }

  /** Stored states by model id, and `start(id)`: its module and its one model, made at first use. */
  function makeRegistry(stored) {
    const started = new Map(), places = new Map();
    async function begin(id) {
      const state = stateOf(stored[id]);
      addStyle(state._css);
      const exported = (await load(state._esm)).default;
      const widget = typeof exported === "function" ? await exported() : exported;
      const onError = (error) => (places.get(id) ?? []).forEach((el) => failed(el, error));
      const model = new Model(state, async (other) => (await start(other)).model, onError);
      await widget.initialize?.({ model });
      return { widget, model };
    }
    function start(id) {
      if (!started.has(id)) started.set(id, begin(id));
      return started.get(id);
    }
    async function show(id, el) {
      places.set(id, [...(places.get(id) ?? []), el]);
      try {
        const { widget, model } = await start(id);
        const inner = document.createElement("div");
        el.replaceChildren(inner);
        el.classList.remove("static-widget-wait");
        await widget.render?.({ model, el: inner });
      } catch (error) { failed(el, error); }
    }
    /** Whether the page's address is a link to this widget: its anchor, then what it is set to. */
    const isLinked = (id) => Boolean(stored[id].state.anchor) && location.hash.startsWith(`#${stored[id].state.anchor}?`);
    return { show, isLinked, canStart: (id) => typeof stored[id]?.state?._esm === "string" };
  }

  const idle = window.requestIdleCallback ? (work) => requestIdleCallback(work, { timeout: 1500 }) : (work) => setTimeout(work, 50);

  /** Calls `work` once, when `el` comes near the screen and the page has nothing better to do. */
  function whenNear(el, work) {
    let done = false;
    const once = () => { if (!done) { done = true; watch.disconnect(); idle(work); } };
    const watch = new IntersectionObserver((seen) => { if (seen.some((s) => s.isIntersecting)) once(); }, { rootMargin: "800px" });
    watch.observe(el);
    addEventListener("beforeprint", once);
  }

  const SETTLING = 6000;      // milliseconds until formulas, pictures and figures above have their height

  /** Takes the reader to `el`, and keeps it there while the page above grows, unless the reader goes on. */
  function goTo(el) {
    const watch = new ResizeObserver(() => el.scrollIntoView({ behavior: "instant" }));
    const stop = () => watch.disconnect();
    for (const name of ["wheel", "touchstart", "pointerdown", "keydown"]) addEventListener(name, stop, { once: true });
    watch.observe(document.body);             // calls at once, too
    setTimeout(stop, SETTLING);
  }

  function place(script, registry) {
    const el = document.createElement("div");
    el.className = "static-widget";
    script.after(el);
    let id;
    try { id = JSON.parse(script.textContent).model_id; } catch (error) { failed(el, error); return; }
    if (!registry.canStart(id)) { note(el, NEEDS_KERNEL, "note"); return; }
    el.classList.add("static-widget-wait");
    el.textContent = "Starting the interactive figure …";
    if (registry.isLinked(id)) registry.show(id, el).then(() => goTo(el));
    else whenNear(el, () => registry.show(id, el));
  }

  function main() {
    const views = document.querySelectorAll(`script[type="${VIEW}"]`);
    if (!views.length) return;
    addStyle(LOOK);
    const stored = {};
    for (const tag of document.querySelectorAll(`script[type="${STATE}"]`)) {
      try { Object.assign(stored, JSON.parse(tag.textContent).state); } catch (error) { console.error(error); }
    }
    const registry = makeRegistry(stored);
    views.forEach((script) => place(script, registry));
  }
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", main);
  else main();
})();
