// Controls of the lines laboratory: few at first, the rest unfolds.
import { colourClass, formatLog, html, marker, say, svg } from "./axes.js";
import { button, select, slider } from "./controls.js";
import { CHOICES, fewest, LIMITS, presetOf, situated, TASKS } from "./linesstate.js";

const WORDS = {
  sources: { label: "Sources", own: "own: own data alone", previous: "previous: the others' q", joint: "joint: fitted together", groups: "groups: all who share one" },
  divergence: { label: "KL to the mixture", jensen: "jensen (4.4)", convex: "convex (4.3)" },
  base: { label: "Base prior p₀", none: "none", fixed: "fixed, N(0, I)", learned: "learned" },
};

/** A choice among the words of a trait. */
function choice(trait, { set }) {
  const { label, ...words } = WORDS[trait], names = CHOICES[trait];
  const made = select({ label, name: trait, onChange: (i) => set(trait, names[i]) });
  const options = names.map((name, i) => [i, words[name]]);
  return { root: made.root, draw(now) { made.set(names.indexOf(now[trait]), options); } };
}

/** Shown unless tasks are in groups, which have no such thing. */
const ungrouped = ({ root, draw }) => ({
  root,
  draw(now) {
    for (const node of [root].flat()) node.hidden = now.sources === "groups";
    draw(now);
  },
});

/** A slider for a number over decades. */
function decades(trait, label, ticks, { set }) {
  const [min, max] = LIMITS[trait];
  const made = slider({
    label, name: trait, min, max, log: true, steps: 120, ticks, show: formatLog,
    onInput: (v) => set(trait, Number(v.toPrecision(3))),
  });
  return { root: made.root, input: made.input, set: made.set, draw(now) { made.set(now[trait]); } };
}

/** Transfer width: of weights about a source's, or, with groups, about their centre in proportion to the population. */
function width(tools) {
  const made = decades("delta", "Transfer width δ", [0.01, 0.1, 1, 5], tools), label = made.root.querySelector("label");
  return {
    root: made.root,
    draw(now) {
      say(label, now.sources === "groups" ? "Width of a group δ" : "Transfer width δ");
      made.draw(now);
    },
  };
}

const bar = (label, ...parts) => html("div", { class: "vmtl-bar", role: "group", "aria-label": label }, parts);

/** One button for each preset; the one that is shown is pressed. */
export function presetBar({ get, set }) {
  const presets = get("presets"), made = presets.map((preset, i) => button({
    label: preset.name, name: `preset-${i}`, title: "Show this situation",
    onClick() {
      for (const [trait, value] of Object.entries(situated(preset, { sources: get("sources") }))) set(trait, value);
      set("preset", i);
      set("chosen", fewest(preset.setting.tasks));
    },
  }));
  return {
    root: bar("Situations", made.map((b) => b.root)),
    draw(now) {
      const shown = presetOf(presets, now.given);
      made.forEach((b, i) => b.root.setAttribute("aria-pressed", i === shown));
    },
  };
}

/** What everybody needs: temperature, width and sources; `small` leaves out the last. */
export function mainBar(tools, small) {
  const parts = [
    ungrouped(decades("temperature", "Temperature τ", [0.05, 0.3, 1, 5, 20], tools)), width(tools), ...(small ? [] : [choice("sources", tools)]),
  ];
  return { root: html("div", { class: "vmtl-sliders" }, parts.map((p) => p.root)), draw(now) { parts.forEach((p) => p.draw(now)); } };
}

/** Noise σ: learned, or set by the slider. */
function noise({ get, set }, current) {
  const how = select({ label: "Noise σ", name: "sigma-how", onChange: (i) => set("sigma", i ? Number(Math.min(2, Math.max(0.05, current())).toPrecision(3)) : null) });
  const size = decades("sigma", "σ", [0.05, 0.2, 1, 2], { set });
  return {
    root: [how.root, size.root],
    draw(now) {
      how.set(now.given.sigma === null ? 0 : 1, [[0, "learned"], [1, "set"]]);
      size.root.hidden = now.given.sigma === null;
      size.set(now.sigma);
    },
    get,
  };
}

function gumbel({ get, set }) {
  let seed = get("draws") ?? 0;
  const how = select({ label: "Gumbel draws", name: "draws-how", onChange: (i) => set("draws", i ? null : seed) });
  const again = button({ label: "New draws", name: "draws-new", title: "Other draws, from the next seed", onClick: () => set("draws", (seed + 1) % 2 ** 32) });
  return {
    root: [how.root, again.root],
    draw(now) {
      seed = now.draws ?? seed;
      how.set(now.draws === null ? 1 : 0, [[0, "16, kept"], [1, "none: α = π"]]);
      again.root.disabled = now.draws === null;
    },
  };
}

/** The rest of the setting, folded. */
export function moreBar(tools, current) {
  const parts = [ungrouped(gumbel(tools)), noise(tools, current), ungrouped(choice("divergence", tools)), ungrouped(choice("base", tools))];
  return {
    root: html("details", { class: "vmtl-more" }, html("summary", { "data-name": "more" }, "More settings"),
      html("div", { class: "vmtl-fields" }, parts.map((p) => p.root))),
    draw(now) { parts.forEach((p) => p.draw(now)); },
  };
}

const swatch = (t) => {
  const node = svg("svg", { viewBox: "-8 -8 16 16", width: 16, height: 16, "aria-hidden": "true", class: colourClass(t) });
  node.append(marker(t, 0, 0, 5));
  return node;
};

/** Which task is edited, and what can be done to it. */
export function taskBar({ get, set }, { addPoint, removePoint }) {
  const pick = Array.from({ length: TASKS[1] }, (_, t) => {
    const made = button({ label: String(t + 1), name: `task-${t}`, title: `Edit task ${t + 1}`, onClick: () => set("chosen", t) });
    made.root.prepend(swatch(t));
    made.root.setAttribute("aria-label", `task ${t + 1}`);
    return made;
  });
  const act = (label, name, title, onClick) => button({ label, name, title, onClick });
  const edits = {
    add: act("Add point", "add-point", "Where this task has the widest gap, on its line", addPoint),
    drop: act("Remove point", "remove-point", "The one that is ringed", removePoint),
    more: act("Add task", "add-task", "With three points on a flat line", () => {
      const tasks = get("tasks");
      set("tasks", [...tasks, [[-2, 0], [0, 0], [2, 0]]]);
      set("chosen", tasks.length);
    }),
    fewer: act("Remove task", "remove-task", "The one that is edited", () => {
      const chosen = get("chosen");
      set("tasks", get("tasks").filter((_, t) => t !== chosen));
      set("chosen", Math.min(chosen, get("tasks").length - 1));
    }),
  };
  return {
    root: html("div", { class: "vmtl-taskbar" }, bar("Task that is edited", html("span", { class: "vmtl-word" }, "Task"), pick.map((b) => b.root)),
      bar("Points and tasks", Object.values(edits).map((b) => b.root))),
    draw({ tasks, chosen }) {
      pick.forEach((b, t) => {
        b.root.hidden = t >= tasks.length;
        b.root.setAttribute("aria-pressed", t === chosen);
      });
      const rows = tasks[chosen].length;
      for (const [name, off] of Object.entries({ add: rows >= 30, drop: rows < 2, more: tasks.length >= TASKS[1], fewer: tasks.length <= TASKS[0] })) edits[name].root.disabled = off;
    },
  };
}
