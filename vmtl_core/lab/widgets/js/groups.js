// Groups of tasks: which of them the evidence wants, by dragging and by sliders. Python: groups.py.
import { format, html, say } from "./axes.js";
import { button, select, slider } from "./controls.js";
import { evidencePanel, sharesPanel } from "./groupsbars.js";
import { lawOf, sizes } from "./groupsmath.js";
import { partitions } from "./groupsmerge.js";
import { LETTERS, planePanel } from "./groupsplane.js";
import { arrange, TASKS } from "./groupstasks.js";
import { mount } from "./view.js";

const SETTING = ["points", "width", "concentration", "noise", "rows"];
const KEPT = [...SETTING, "groups", "place", "seed"];
const HINT = "Try: widen δ until three groups become none. Drag a task half way between two groups: to whom does it belong, " +
  "and how far must it go to be in none? Raise σ or lower N: which bars draw level? Choose unrelated tasks and raise a: which groups appear that aren't there? The population's standard deviation is 1 throughout.";

/** Groups in use, as their first members come, and every task's shares in them and in none. */
function ordered({ member: flat, columns, laws }) {
  const member = Array.from({ length: TASKS }, (_, t) => [...flat.slice(t * columns, (t + 1) * columns)]);
  const centres = Array.from({ length: columns - 1 }, (_, k) => lawOf(laws, k));
  const size = sizes(flat, columns), most = member.map((row) => row.indexOf(Math.max(...row)));
  const first = (k) => (most.includes(k) ? most.indexOf(k) : most.length);
  const used = centres.map((_, k) => k).filter((k) => size[k] > 0.5).sort((i, j) => first(i) - first(j) || i - j);
  const shares = member.map((row) => {
    const own = used.map((k) => row[k]);
    return [...own, Math.max(0, 1 - own.reduce((a, b) => a + b, 0))];
  });
  return { member, centres, shares, mean: lawOf(laws, columns - 1), clusters: used.map((k) => ({ ...centres[k], size: size[k] })) };
}

/** Everything the figure shows. The partitions are kept until what they are made of changes. */
function makeComputer() {
  let made = "", result;
  return (get) => {
    const now = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)]));
    const asked = JSON.stringify(SETTING.map((trait) => now[trait]));
    if (asked !== made) [made, result] = [asked, partitions(now)];
    const { found, sites, spread } = result, bounds = found.map((one) => one.bound), best = bounds.indexOf(Math.max(...bounds));
    const shown = now.groups ?? best;
    return {
      ...now, found, sites, bounds, best, shown, within: spread.within,
      gains: bounds.map((bound) => bound - bounds[0]), count: found.length, ...ordered(found[shown]),
    };
  };
}

function choices(get, set) {
  const start = Object.fromEntries(KEPT.map((trait) => [trait, get(trait)])), places = get("places");
  const lay = (place, seed) => {
    set("place", place);
    set("seed", seed);
    set("points", arrange(places[place], seed));
  };
  const made = places.map((one, i) => button({
    label: one.name, name: `place-${i}`, title: "Lay the tasks out so", onClick: () => lay(i, get("seed")),
  }));
  const again = button({
    label: "New tasks", name: "again", title: "Lay them out again, with the next seed", onClick: () => lay(get("place"), (get("seed") + 1) % 2 ** 32),
  });
  const reset = button({
    label: "Start again", name: "reset", title: "Back to the first setting", onClick: () => KEPT.forEach((trait) => set(trait, start[trait])),
  });
  const shown = select({ label: "Show", name: "groups", onChange: (k) => set("groups", k < 0 ? null : k) });
  const plainly = (k) => `K = ${k}${k === 0 ? ", no groups" : ""}`;
  return {
    root: html("div", { class: "vmtl-bar" },
      html("div", { class: "vmtl-bar", role: "group", "aria-label": "Where the tasks lie" }, made.map((b) => b.root)), again.root, shown.root, reset.root),
    draw({ place, seed, points, groups, count }) {
      const laid = JSON.stringify(points) === JSON.stringify(arrange(places[place], seed));
      made.forEach((b, i) => b.root.setAttribute("aria-pressed", laid && i === place));
      shown.set(groups ?? -1, [[-1, "the best K"], ...Array.from({ length: count }, (_, k) => [k, plainly(k)])]);
    },
  };
}

function sliders(get, set) {
  const make = (trait, label, options) => [trait, slider({ label, name: trait, onInput: (v) => set(trait, v), show: (v) => format(v), steps: 60, ...options })];
  const all = Object.fromEntries([
    make("width", "δ, spread within a group", { min: 0.05, max: 2, log: true, step: 0.01, ticks: [0.05, 0.2, 0.5, 1, 2] }),
    make("concentration", "a, concentration", { min: 0.1, max: 10, log: true, step: 0.01, ticks: [0.1, 1, 10] }),
    make("noise", "σ, noise of a row", { min: 0.1, max: 3, step: 0.1, steps: 29, ticks: [0.1, 1, 2, 3] }),
    make("rows", "N, rows of each task", { min: 1, max: 100, log: true, step: 1, ticks: [1, 10, 100], show: String }),
  ]);
  return {
    root: html("div", { class: "vmtl-sliders" }, Object.values(all).map((s) => s.root)),
    draw(now) { for (const [trait, one] of Object.entries(all)) one.set(now[trait]); },
  };
}

const named = (k) => (k === 0 ? "no groups" : k === 1 ? "one group" : `${k} groups`);

function sentence({ gains, best, shown, clusters, shares, found }) {
  const second = gains.map((_, k) => k).filter((k) => k !== best).sort((i, j) => gains[j] - gains[i])[0];
  const rivals = [...new Set([second, 0])].filter((k) => k !== best);
  const lead = `The evidence is greatest for ${named(best)}: ` +
    `${rivals.map((k) => `${format(gains[best] - gains[k], 1)} nats more than for ${named(k)}`).join(", ")}. `;
  const most = shares.map((row) => Math.max(...row)), unsure = most.indexOf(Math.min(...most));
  const who = clusters.map(({ size }, rank) => `${LETTERS[rank]} ${format(size, 1)}`);
  const holds = found[shown].holds ? "" : `, which ${shown > 1 ? "don't" : "doesn't"} hold`;
  const none = `none ${format(shares.reduce((sum, row) => sum + row.at(-1), 0), 1)}`;
  const sure = most[unsure] > 0.995 ? "Every task is sure" : `Least sure: task ${unsure + 1}, ${Math.round(100 * most[unsure])} %`;
  return `${lead}Shown: ${named(shown)}${holds}. Tasks in each: ${[...who, none].join(", ")}. ${sure}.`;
}

/** What a test compares with torch. */
const exposed = (now) => ({
  ...Object.fromEntries(KEPT.map((trait) => [trait, now[trait]])), bounds: now.bounds, holds: now.found.map((one) => one.holds),
  best: now.best, shown: now.shown, member: now.member, shares: now.shares, mean: now.mean,
  centres: now.centres, covariances: now.sites.map((site) => site.covariance),
});

function build({ root, get, set, announce }) {
  const compute = makeComputer(), choice = choices(get, set), control = sliders(get, set);
  const plane = planePanel({
    tasks: TASKS, at: (t) => get("points")[t], move: (t, to) => set("points", get("points").map((old, s) => (s === t ? to : old))),
  });
  const evidence = evidencePanel(), shares = sharesPanel(), readout = html("p", { class: "vmtl-readout" });
  root.append(choice.root, control.root,
    html("div", { class: "vmtl-panels" }, plane.root, html("div", { class: "vmtl-side" }, evidence.root, shares.root)),
    readout, html("p", { class: "vmtl-hint" }, HINT));
  return () => {
    const now = compute(get);
    for (const one of [choice, control, plane, evidence, shares]) one.draw(now);
    say(readout, sentence(now));
    announce(readout.textContent);
    return exposed(now);
  };
}

export default {
  render({ model, el }) {
    return mount({ model, el, name: "groups", traits: [...KEPT, "places"], build });
  },
};
