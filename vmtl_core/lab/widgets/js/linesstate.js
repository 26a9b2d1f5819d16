// What the lines laboratory is set to, its limits, and the link that stores it. Python: lines.py.
export const X = 2.5;
export const Y = 3;
export const MOST_ROWS = 30;
export const TASKS = [3, 6];
export const LIMITS = { temperature: [0.05, 20], delta: [0.01, 5], sigma: [0.05, 2] };
export const CHOICES = {
  sources: ["own", "previous", "joint", "groups"], divergence: ["jensen", "convex"], base: ["none", "fixed", "learned"],
};
/** What the fit depends on, and all that a reader can change. */
export const SETTING = ["tasks", "temperature", "draws", "sigma", "delta", "sources", "divergence", "base"];
export const KEPT = [...SETTING, "chosen", "preset"];

/** A coordinate within reach, to a hundredth. */
export const tidy = (v, reach) => Math.min(reach, Math.max(-reach, Math.floor(100 * v + 0.5) / 100));
/** A point in the plane. */
export const place = (x, y) => [tidy(x, X), tidy(y, Y)];

/** A task's points moved by what its line gains: intercept and slope. */
export const shifted = (rows, [up, steeper]) => rows.map(([x, y]) => place(x, y + up + steeper * x));

/** The task with the fewest points, the first of them. */
export const fewest = (tasks) => tasks.reduce((best, rows, t) => (rows.length < tasks[best].length ? t : best), 0);

/** What choosing a situation sets: all that it is made of, but groups stay, so that each can be seen in them. */
export const situated = ({ setting }, { sources }) => (sources === "groups" ? { ...setting, sources } : setting);

/** The number of the preset whose setting this is, or -1. */
export const presetOf = (presets, now) =>
  presets.findIndex((preset) => Object.entries(situated(preset, now)).every(([name, value]) => JSON.stringify(value) === JSON.stringify(now[name])));

const hundredths = (v) => String(Math.round(100 * v));
const pointsText = (tasks) => tasks.map((rows) => rows.map((point) => point.map(hundredths).join(".")).join("_")).join("~");

/** The part of an address after #: the laboratory that it is for, and everything that it is set to. */
export function linkOf(anchor, now) {
  const numbers = { tau: now.temperature, delta: now.delta, sigma: now.sigma ?? "learned", draws: now.draws ?? "none" };
  const words = { sources: now.sources, divergence: now.divergence, base: now.base };
  const rest = { task: now.chosen + 1, preset: now.preset + 1, points: pointsText(now.tasks) };
  return `${anchor}?${Object.entries({ ...numbers, ...words, ...rest }).map((pair) => pair.join("=")).join("&")}`;
}

function must(fits) {
  if (!fits) throw new RangeError("not a setting of the laboratory");
}

const NUMBER = /^-?\d+(\.\d+)?(e-?\d+)?$/;
function number(text, [low, high], whole = false) {
  must(NUMBER.test(text ?? ""));
  const value = Number(text);
  must(low <= value && value <= high && (!whole || Number.isInteger(value)));
  return value;
}

function pointsOf(text) {
  const tasks = (text ?? "").split("~").map((rows) => rows.split("_").map((point) => {
    const pair = point.split(".");
    must(pair.length === 2);
    return [number(pair[0], [-100 * X, 100 * X], true) / 100, number(pair[1], [-100 * Y, 100 * Y], true) / 100];
  }));
  must(TASKS[0] <= tasks.length && tasks.length <= TASKS[1] && tasks.every((rows) => rows.length <= MOST_ROWS));
  return tasks;
}

/**
 * What an address sets the laboratory `anchor` to: null if the address is not for it, and
 * `{ broken: true }` if it is but can't be read.
 */
export function settingOf(hash, anchor, presets) {
  if (!hash.startsWith(`#${anchor}?`)) return null;
  try {
    const given = new URLSearchParams(hash.slice(anchor.length + 2));
    const word = (name) => { must(CHOICES[name].includes(given.get(name))); return given.get(name); };
    const or = (name, other, range, whole) => (given.get(name) === other ? null : number(given.get(name), range, whole));
    const tasks = pointsOf(given.get("points"));
    return {
      tasks, temperature: number(given.get("tau"), LIMITS.temperature), delta: number(given.get("delta"), LIMITS.delta),
      sigma: or("sigma", "learned", LIMITS.sigma), draws: or("draws", "none", [0, 2 ** 32 - 1], true),
      sources: word("sources"), divergence: word("divergence"), base: word("base"),
      chosen: number(given.get("task"), [1, tasks.length], true) - 1, preset: number(given.get("preset"), [1, presets.length], true) - 1,
    };
  } catch {
    return { broken: true };
  }
}
