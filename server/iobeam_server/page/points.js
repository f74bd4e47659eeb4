// The points of one series: read in an amount that can be drawn, kept up to date.

const RAW_POINTS = 5_000; // as many as a wide screen can tell apart, several times over
const BUCKETS = 800; // about one per pixel column
const S = 1_000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;
const WIDTHS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500,
  S, 2 * S, 5 * S, 10 * S, 15 * S, 30 * S, M, 2 * M, 5 * M, 10 * M, 15 * M, 30 * M,
  H, 2 * H, 3 * H, 6 * H, 12 * H, D, 2 * D, 7 * D, 30 * D,
];

/** Reads one series of one device. */
export class Source {
  constructor(api, deviceId, name) {
    Object.assign(this, { api, deviceId, name });
  }

  /**
   * False for names that no URL can hold as they are: browsers take "." and ".." for
   * folders, also when escaped, and the server ignores a slash at the end.
   */
  get isAddressable() {
    return !/^\.\.?$|\/$/.test(this.name);
  }

  get path() {
    return this.api.exportsPath(this.deviceId, this.isAddressable ? this.name : "all");
  }

  async read(query, signal) {
    const { result } = await this.api.json(this.path, { timefmt: "usec", ...query }, signal);
    return result.find((found) => found.name === this.name)?.data ?? [];
  }
}

/**
 * Read what lies within `{from, to}` (ms or null).
 *
 * Up to RAW_POINTS come as they are; of more, mean, least and greatest per bucket:
 * a mean alone would hide the peaks. Of texts the last RAW_POINTS.
 *
 * @returns `{times (us), values, lows, highs, widthMs, isFlag, isCut}`; lows, highs and widthMs are
 *   null for raw points, isFlag is true of booleans, isCut where older points were left out.
 */
export async function load(source, { from, to }, signal) {
  const raw = await source.read({ from, to, limit: RAW_POINTS + 1 }, signal);
  if (raw.length <= RAW_POINTS) return columns(raw);
  const newest = raw.at(-1).value;
  if (isText(newest)) return { ...columns(raw.slice(1)), isCut: true }; // texts have no mean
  const end = to ?? Math.max(source.api.now(), raw.at(-1).time / 1_000);
  const widthMs = pickWidth(end - (from ?? (await firstTime(source, { to }, signal))));
  const found = await buckets(source, { from: align(from, widthMs), to }, widthMs, signal);
  return { ...found, isFlag: typeof newest === "boolean" }; // their means are numbers
}

/** Read what came after `track`; null when that is too much and `load` has to be asked. */
export async function extend(source, track, { to }, signal) {
  const last = Math.floor(track.times.at(-1) / 1_000);
  // the last one is asked for again: its millisecond, or its bucket, may have got more
  const fresh = track.widthMs
    ? await buckets(source, { from: last, to }, track.widthMs, signal)
    : columns(await source.read({ from: last, to, limit: RAW_POINTS + 1 }, signal));
  if (fresh.times.length > RAW_POINTS) return null;
  const joined = join(track, fresh);
  return joined.times.length > 2 * RAW_POINTS ? null : joined;
}

/** Leave out what lies before `from` (ms). */
export function since(track, from) {
  if (from === null) return track;
  const start = align(from, track.widthMs ?? 1) * 1_000;
  const first = track.times.findIndex((time) => time >= start);
  return first === 0 ? track : slice(track, first < 0 ? track.times.length : first);
}

/** Return the narrowest width that makes at most BUCKETS of a span (ms). */
export function pickWidth(spanMs) {
  const least = spanMs / BUCKETS;
  return WIDTHS_MS.find((width) => width >= least) ?? Math.ceil(least / D) * D;
}

export const isText = (value) => typeof value === "string";

const align = (ms, widthMs) => (ms === null ? null : Math.floor(ms / widthMs) * widthMs);

async function firstTime(source, query, signal) {
  // one bucket over everything starts at the first point
  const [bucket] = await source.read({ ...query, operator: "count" }, signal);
  return bucket.time / 1_000;
}

async function buckets(source, query, widthMs, signal) {
  const ask = (operator) => source.read({ ...query, operator, group_by: `${widthMs}ms` }, signal);
  const [means, lows, highs] = await Promise.all(["mean", "min", "max"].map(ask));
  const track = columns(means);
  // a point may arrive between the three: only buckets that all of them have
  const [low, high] = [lows, highs].map((data) => new Map(data.map((p) => [p.time, Number(p.value)])));
  const pick = (column) => track.times.map((time, i) => column.get(time) ?? track.values[i]);
  return { ...track, lows: pick(low), highs: pick(high), widthMs };
}

function columns(data) {
  return {
    times: data.map((point) => point.time),
    values: data.map((point) => point.value),
    lows: null,
    highs: null,
    widthMs: null,
    isFlag: typeof data.at(-1)?.value === "boolean",
    isCut: false,
  };
}

function join(track, fresh) {
  if (fresh.times.length === 0) return track;
  const first = track.times.findIndex((time) => time >= fresh.times[0]);
  const kept = first < 0 ? track : slice(track, 0, first);
  const both = (name) => kept[name] && [...kept[name], ...fresh[name]];
  return { ...kept, times: both("times"), values: both("values"), lows: both("lows"), highs: both("highs") };
}

function slice(track, ...bounds) {
  const cut = (column) => column && column.slice(...bounds);
  return {
    ...track,
    times: cut(track.times), values: cut(track.values), lows: cut(track.lows), highs: cut(track.highs),
  };
}
