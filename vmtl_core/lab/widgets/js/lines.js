// The lines laboratory: a few regressions fitted together while the reader drags their points. Python: lines.py.
import { html, say } from "./axes.js";
import { button } from "./controls.js";
import { mainBar, moreBar, presetBar, taskBar } from "./linescontrols.js";
import { linesFit } from "./linesfit.js";
import { dataPanel } from "./linesplane.js";
import { sharesPanel } from "./linesshares.js";
import { KEPT, linkOf, SETTING, settingOf } from "./linesstate.js";
import { partsPanel } from "./linesparts.js";
import { sentence } from "./linesstory.js";
import { termsPanel } from "./linesterms.js";
import { weightsPanel } from "./linesweights.js";
import { mount } from "./view.js";

const KINDS = ["friends", "echo", "few", "opposites", "same"];
const BROKEN = "The link to this laboratory could not be read; it starts as it stands.";
const HINT = "Points: drag, or Tab to the ringed one; arrows move it, N and P go to the next and the previous one, + adds, Delete takes away. " +
  "Sources: what a task's prior is made of. Own: what the others' own data say. Previous and joint: what the others believe now, and joint lets them be pulled by it. " +
  "Groups: what all the others of its group say together; every way to share groups is weighed by its evidence, and none is searched for.";

/** Everything the figure shows, from the traits alone. The fit is kept until what it is made of changes. */
function makeComputer() {
  let made = "", found;
  return (get) => {
    const given = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
    const asked = JSON.stringify(SETTING.map((trait) => given[trait]));
    if (asked !== made) [made, found] = [asked, linesFit(Object.fromEntries(SETTING.map((trait) => [trait, given[trait]])))];
    return { ...given, ...found, given, restless: !found.converged && given.sources === "previous", chosen: Math.min(given.chosen, given.tasks.length - 1) };
  };
}

/** What a test compares with the library. */
const exposed = (now) => ({
  ...now.given, q: now.q, alone: now.alone, pooled: now.pooled, components: now.components, alpha: now.alpha, phi: now.phi,
  pi: now.pi, partitions: now.partitions, evidence: now.evidence, restless: now.restless, terms: now.terms, elbo: now.elbo, sigma_used: now.sigma, population: now.population, converged: now.converged,
});

/** Starts from the address where that is for this laboratory, and copies an address that holds it all. */
function linking({ get, set, setting }) {
  let made = false;
  const word = html("span", { class: "vmtl-quiet", role: "status" });
  const open = () => {
    if (made && !word.isConnected) return window.removeEventListener("hashchange", open);    // the view is gone
    const found = settingOf(window.location.hash, get("anchor"), get("presets"));
    if (found?.broken) say(word, BROKEN);
    else if (found) KEPT.forEach((trait) => set(trait, found[trait]));
    made = true;
  };
  window.addEventListener("hashchange", open);
  async function copy() {
    const url = new URL(window.location.href);
    url.hash = linkOf(get("anchor"), setting());
    try {
      await navigator.clipboard.writeText(url.href);
      say(word, "The link is copied: whoever opens it sees this.");
    } catch {
      window.history.replaceState(null, "", url.href);
      say(word, "The address of this page is now the link: copy it from there.");
    }
  }
  return { open, word, root: button({ label: "Copy link", name: "link", title: "An address that opens this page with what you see now", onClick: copy }).root };
}

/** What the laboratory in small leaves out: the rest of the setting, the tasks, the tables, the terms. */
function rest(tools, data, current) {
  const more = moreBar(tools, () => current().sigma), tasks = taskBar(tools, { addPoint: data.add, removePoint: data.remove });
  const choose = (t) => tools.set("chosen", t), terms = termsPanel();
  const alpha = sharesPanel("alpha", { mixture: "α: weight of a source in a prior", groups: "Who shares a group, before the task's own data" }, choose);
  const phi = sharesPanel("phi", { mixture: "φ: its share in explaining the task", groups: "Who shares a group, given all data" }, choose);
  const parts = partsPanel();
  return {
    more: more.root, tasks: tasks.root, below: html("div", { class: "vmtl-below" }, alpha.root, phi.root, parts.root, terms.root),
    parts: [more, tasks, alpha, phi, terms, parts],
  };
}

function build({ root, get, set, announce }) {
  const small = get("small"), tools = { get, set }, start = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)])), compute = makeComputer();
  let now;
  const put = (tasks, chosen) => { set("tasks", tasks); set("chosen", chosen); };
  const data = dataPanel({ state: () => ({ tasks: get("tasks"), chosen: Math.min(get("chosen"), get("tasks").length - 1) }), change: put });
  const weights = weightsPanel({
    small, rowsOf: (t) => get("tasks")[t], move: (t, rows) => put(get("tasks").map((old, s) => (s === t ? rows : old)), t),
  });
  const presets = presetBar(tools), main = mainBar(tools, small), readout = html("p", { class: "vmtl-readout" });
  const reset = button({ label: "Start again", name: "reset", title: "Back to the first setting", onClick: () => KEPT.forEach((trait) => set(trait, start[trait])) });
  const link = linking({ get, set, setting: () => now.given }), all = small ? null : rest(tools, data, () => now);
  const planes = html("div", { class: "vmtl-panels" }, data.root, all?.tasks, weights.root);
  const last = html("div", { class: "vmtl-bar" }, reset.root, small ? null : link.root, link.word);
  if (small) root.append(planes, presets.root, main.root, readout, last);
  else root.append(presets.root, main.root, all.more, planes, readout, all.below, last, html("p", { class: "vmtl-hint" }, HINT));
  link.open();
  return () => {
    now = compute(get);
    root.classList.toggle("vmtl-restless", now.restless);
    for (const part of [presets, main, data, weights, ...(all?.parts ?? [])]) part.draw(now);
    say(readout, sentence(now, KINDS[now.preset], small));
    announce(readout.textContent);
    return exposed(now);
  };
}

export default {
  render({ model, el }) {
    return mount({ model, el, name: "lines", traits: [...KEPT, "presets"], build });
  },
};
