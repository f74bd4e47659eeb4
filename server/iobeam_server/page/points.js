// The points of one series: read in an amount that can be drawn, kept up to date.

const RAW_POINTS = 5_000; // as many as a wide screen can tell apart, several times over
const BUCKETS = 800; // about one per pixel column

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
    return this.#pathOf("exports");
  }

  async read(query, signal) {
    return (await this.#ask("exports", query, signal)).data;
  }

  /** Return `{data, widthMs}`: count, least, mean and greatest of each bucket. */
  async summarize(query, signal) {
    return this.#ask("summaries", query, signal);
  }

  /** Delete what lies between two times (ms). */
  async remove(query) {
    return this.api.remove(this.#pathOf("points"), query);
  }

  #pathOf(resource) {
    return this.api.pathOf(resource, this.deviceId, this.isAddressable ? this.name : "all");
  }

  async #ask(resource, query, signal) {
    const answer = await this.api.json(this.#pathOf(resource), { timefmt: "usec", ...query }, signal);
    const data = answer.result.find((found) => found.name === this.name)?.data ?? [];
    return { data, widthMs: answer.width_ms };
  }
}

/**
 * Read what lies within `{from, to}` (ms or null).
 *
 * Up to RAW_POINTS come as they are; of more, mean, least and greatest per bucket:
 * a mean alone would hide the peaks. Of texts the last RAW_POINTS.
 *
 * @returns `{times (us), values, lows, highs, counts, widthMs, isFlag, isCut}`; lows, highs, counts and
 *   widthMs are null for raw points, isFlag is true of booleans, isCut where older points were left out.
 */
export async function load(source, { from, to }, signal) {
  const raw = await source.read({ from, to, limit: RAW_POINTS + 1 }, signal);
  if (raw.length <= RAW_POINTS) return columns(raw);
  const newest = raw.at(-1).value;
  if (isText(newest)) return { ...columns(raw.slice(1)), isCut: true }; // texts have no mean
  const found = await buckets(source, { from, to, buckets: BUCKETS }, signal);
  return { ...found, isFlag: typeof newest === "boolean" }; // their means are numbers
}

/** Read what came after `track`; null when that is too much and `load` has to be asked. */
export async function extend(source, track, { to }, signal) {
  const last = Math.floor(track.times.at(-1) / 1_000);
  // the last one is asked for again: its millisecond, or its bucket, may have got more
  const fresh = track.widthMs
    ? await buckets(source, { from: last, to, group_by: `${track.widthMs}ms` }, signal)
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

export const isText = (value) => typeof value === "string";

const align = (ms, widthMs) => (ms === null ? null : Math.floor(ms / widthMs) * widthMs);

async function buckets(source, query, signal) {
  const { data, widthMs } = await source.summarize(query, signal);
  // null is a mean that no number can hold
  const column = (name) => data.map((bucket) => (bucket[name] === null ? null : Number(bucket[name])));
  const named = { times: "time", values: "mean", lows: "min", highs: "max", counts: "count" };
  const found = Object.entries(named).map(([name, part]) => [name, column(part)]);
  return { ...columns([]), ...Object.fromEntries(found), widthMs };
}

function columns(data) {
  return {
    times: data.map((point) => point.time),
    values: data.map((point) => point.value),
    lows: null,
    highs: null,
    counts: null,
    widthMs: null,
    isFlag: typeof data.at(-1)?.value === "boolean",
    isCut: false,
  };
}

function join(track, fresh) {
  if (fresh.times.length === 0) return track;
  const first = track.times.findIndex((time) => time >= fresh.times[0]);
  const kept = first < 0 ? track : slice(track, 0, first);
  return { ...kept, ...columnwise((name) => kept[name] && [...kept[name], ...fresh[name]]) };
}

function slice(track, ...bounds) {
  return { ...track, ...columnwise((name) => track[name] && track[name].slice(...bounds)) };
}

const COLUMNS = ["times", "values", "lows", "highs", "counts"];
const columnwise = (make) => Object.fromEntries(COLUMNS.map((name) => [name, make(name)]));
