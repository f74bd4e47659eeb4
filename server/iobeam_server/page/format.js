// How times and values are written.

const AGES = [
  ["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const pad = (number, width = 2) => String(number).padStart(width, "0");

/** "12 seconds ago"; "in 3 minutes" for a device whose clock is ahead. */
export function age(timeMs, nowMs) {
  const seconds = Math.round((timeMs - nowMs) / 1_000);
  const [unit, size] = AGES.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return Math.abs(seconds) < 2 ? "just now" : relative.format(Math.trunc(seconds / size), unit);
}

let utc = false; // else the zone of this machine

export const isUtc = () => utc;

/** Have times written in UTC, or in this machine's zone. */
export function useUtc(isWanted) {
  utc = isWanted;
}

/** The name of the zone that times are written in. */
export const zone = () => (utc ? "UTC" : new Intl.DateTimeFormat().resolvedOptions().timeZone);

/** A time as `YYYY-MM-DDTHH:MM:SS` of the zone, which a form's field takes; null of none that a Date holds. */
export function fieldOf(timeMs) {
  const shifted = new Date(timeMs - (utc ? 0 : new Date(timeMs).getTimezoneOffset() * 60_000));
  if (Number.isNaN(shifted.getTime())) return null; // beyond the year 275760
  return shifted.toISOString().replace(/\.\d+Z$/, "");
}

/** Read what such a field holds, as ms. */
export const timeOf = (field) => new Date(utc ? `${field}Z` : field).getTime();

/** Year first, unambiguous everywhere; of a time that no Date holds the number. */
export function stamp(timeMs) {
  return fieldOf(timeMs)?.replace("T", " ").replace(/^\+0*/, "") ?? `${timeMs} ms`;
}

/** The same with the fraction that was sent. */
export function stampUs(timeUs) {
  const fraction = pad(((timeUs % 1_000_000) + 1_000_000) % 1_000_000, 6).replace(/(000){1,2}$/, "");
  return stamp(Math.floor(timeUs / 1_000)) + (fraction ? `.${fraction}` : "");
}

/** A value as sent; numbers that JavaScript cannot hold are marked as rounded. */
export function value(given) {
  if (Number.isInteger(given) && !Number.isSafeInteger(given)) return `≈ ${given}`;
  return String(given);
}

const sixDigits = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });

/** A value to be read at a glance: at most six digits that count, in groups. */
export function brief(given) {
  if (typeof given !== "number") return String(given);
  const size = Math.abs(given);
  if (size === 0) return "0"; // of either sign
  if ((size >= 1e15 || size < 1e-4)) return given.toExponential(5).replace(/\.?0+e/, "e");
  return sixDigits.format(given);
}

const UNITS = [[" T", 1e12], [" G", 1e9], [" M", 1e6], [" k", 1e3]];

const STEPS = 1e6; // more of them to the greatest number, and its digits do not tell labels apart at a glance

/**
 * Numbers beside an axis, `step` apart: "16.5 G" for 16500000000, which takes a third of a phone.
 *
 * Where they differ in their last digits only, a round number beside the first of them, and how much
 * more than that each one is.
 */
export function axisLabels(numbers, step) {
  const most = Math.max(...numbers.map(Math.abs));
  if (numbers.length > 1 && most / step > STEPS) {
    const unit = 10 ** (Math.ceil(Math.log10(numbers.at(-1) - numbers[0])) + 1);
    const base = Math.floor(numbers[0] / unit) * unit;
    const over = numbers.map((number) => `+${brief(number - base)}`);
    return [`${base.toExponential().replace("e+", "e")}\n${over[0]}`, ...over.slice(1)];
  }
  if (most >= 1e15 || most < 1e-4) return numbers.map((number) => (number === 0 ? "0" : number.toExponential(2)));
  const [unit, size] = (most >= 1e5 && UNITS.find(([, size]) => most >= size)) || ["", 1];
  const digits = Math.max(0, Math.ceil(-Math.log10(step / size) - 1e-9));
  return numbers.map((number) => (number / size).toFixed(digits) + unit);
}

/** A bucket's width in words. */
export function width(ms) {
  const [unit, size] = [...AGES, ["millisecond", 0.001]].find(([, s]) => ms % (s * 1_000) === 0);
  const count = Math.round(ms / (size * 1_000));
  return count === 1 ? unit : `${count} ${unit}s`;
}
