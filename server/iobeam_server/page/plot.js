// The panel of the chosen series: chart, legend, caption, table of the latest points, files.

import { Chart } from "./chart.js";
import { asCommand } from "./command.js";
import { byId, make, setText } from "./dom.js";
import { download, savePicture } from "./download.js";
import { brief, stamp, stampUs, value, width, zone } from "./format.js";
import { extremes, showLegend } from "./legend.js";
import { extend, isText, load, since } from "./points.js";
import { poll } from "./poll.js";
import { AHEAD_MS, Range } from "./range.js";
import { Strays, straysOf } from "./strays.js";

const EVERY_MS = 3_000;
// Following asks for what is newer than the last point. A device that was off-line may send
// older ones, so the whole range is read again now and then; of buckets the server has to
// read more, so more seldom.
const REREAD_RAW_MS = 60_000;
const REREAD_BUCKETS_MS = 300_000;
const TABLE_ROWS = 20;
const PAN = 0.5; // of what is shown, by one press of a button
const ZOOM = 2;

export class Plot {
  #chart = new Chart(
    byId("chart"),
    (from, to) => this.#range.set(from, to),
    (places) => this.#point(places),
    () => this.#range.undo(),
  );
  #range = new Range(() => {
    this.#ranged();
    this.#restart();
  });
  #strays = new Strays(
    (from, to) => this.#range.set(from, to),
    () => this.#restart(),
    (error) => this.#reporter.refused(error),
  );
  #lines = []; // {source, deviceId, name, colour, track, latest, readAt, strays}
  #reporter;
  #shown = null; // [from, to] of the chart, ms
  #end = () => {};
  #shownLatest = ""; // what the table holds
  #saving = null; // AbortController of a download under way
  #ranged;
  #removed;

  /**
   * @param ranged called when another range has been chosen.
   * @param removed called with a line `{deviceId, name}` that a person has done away with.
   */
  constructor(ranged, removed) {
    this.#ranged = ranged;
    this.#removed = removed;
    byId("csv").addEventListener("click", () => this.#save());
    byId("png").addEventListener("click", () => this.#picture());
    const steps = {
      earlier: ([from, to]) => [from - PAN * (to - from), to - PAN * (to - from)],
      later: ([from, to]) => [from + PAN * (to - from), to + PAN * (to - from)],
      nearer: ([from, to]) => scaled(from, to, 1 / ZOOM),
      farther: ([from, to]) => scaled(from, to, ZOOM),
    };
    for (const [id, step] of Object.entries(steps)) {
      byId(id).addEventListener("click", () => this.#shown && this.#range.set(...step(this.#shown)));
    }
    byId("undo").addEventListener("click", () => this.#range.undo());
  }

  /** Show lines `{deviceId, name, colour}`, read from what `sourceOf` makes of each; those that are shown stay. */
  open(lines, sourceOf, reporter) {
    const before = this.#lines;
    this.#saving?.abort();
    this.#reporter = reporter;
    this.#lines = lines.map((line) => before.find((one) => one.deviceId === line.deviceId && one.name === line.name) ?? {
      ...line, source: sourceOf(line), track: null, latest: [], readAt: 0,
    });
    if (this.#lines.length === 0) return this.close();
    setText(byId("chart-title"), this.#lines.map(({ name }) => name).join(", "));
    const isPartly = this.#lines.some((line) => before.includes(line));
    if (!isPartly) this.#clear();
    this.#restart(isPartly);
  }

  get range() {
    return this.#range.state;
  }

  /** Look at another range, as `range` gave it; null is the usual one. */
  set range(state) {
    this.#range.restore(state);
    this.#restart();
  }

  /** Write times anew, as when the zone has changed. */
  rewrite() {
    this.#range.rewrite();
    this.#chart.redraw();
    this.#shownLatest = "";
    if (this.#shown && this.#lines.every(({ track }) => track !== null)) this.#describeAll();
  }

  close() {
    this.#end();
    this.#saving?.abort();
    this.#lines = [];
    this.#clear();
    this.#enable(false);
    setText(byId("chart-title"), "Chart");
    setText(byId("caption"), "Choose a device and a series.");
  }

  #enable(isOpen) {
    byId("csv").disabled = !isOpen || this.#saving !== null;
  }

  #clear() {
    this.#chart.clear();
    this.#shown = null;
    byId("chart").setAttribute("aria-label", "No chart yet");
    for (const id of ["latest", "elsewhere", "steps", "legend", "strays"]) byId(id).hidden = true;
    for (const id of ["figures", "line", "program"]) setText(byId(id), "");
    byId("rows").replaceChildren();
    this.#shownLatest = "";
    setText(byId("readout"), "");
  }

  /** Read everything anew; or, where some lines stay as they are, what is new. What is drawn stays. */
  #restart(isPartly = false) {
    if (this.#lines.length === 0) return;
    this.#end();
    if (!isPartly) {
      for (const line of this.#lines) line.track = line.strays = null;
      setText(byId("caption"), "Reading …");
    }
    this.#enable(true);
    const lines = this.#lines;
    const round = async (signal) => {
      const range = this.#range.bounds(lines[0].source.api.now());
      const isOpen = range.from === null;
      if (isOpen) await findStrays(lines, isOpen, signal);
      const bounds = isOpen ? withoutStrays(lines, range) : range;
      const read = await Promise.all(lines.map((line) => readLine(line, bounds, signal)));
      signal.throwIfAborted();
      lines.forEach((line, i) => Object.assign(line, read[i]));
      this.#show(bounds);
      if (lines.length > 1) return this.#strays.offer(lines[0].source, null);
      await findStrays(lines, isOpen, signal); // what is drawn did not wait for it
      signal.throwIfAborted();
      this.#strays.offer(lines[0].source, lines[0].strays);
    };
    this.#end = poll(round, EVERY_MS, this.#reporter);
  }

  #show(bounds) {
    const drawn = this.#lines.filter(({ track }) => track.times.length > 0);
    if (drawn.length === 0) {
      const last = this.#lines.map(({ latest }) => latest.at(-1)?.time ?? -Infinity).reduce((a, b) => Math.max(a, b));
      this.#clear();
      setText(byId("caption"), `Nothing in this range.${last > -Infinity ? ` The newest point is of ${stampUs(last)}.` : ""}`);
      showLegend(this.#lines, this.#removed);
      return;
    }
    const first = drawn.map(({ track }) => track.times[0]).reduce((a, b) => Math.min(a, b)) / 1_000;
    const last = drawn.map(({ track }) => track.times.at(-1)).reduce((a, b) => Math.max(a, b)) / 1_000;
    const now = bounds.from === null ? -Infinity : this.#lines[0].source.api.now();
    this.#shown = [bounds.from ?? first, bounds.to ?? Math.max(last, now)];
    if (this.#canDraw) this.#chart.show(drawn, ...this.#shown);
    else this.#chart.clear();
    this.#describeAll();
  }

  get #canDraw() {
    const areTexts = this.#lines.every(({ track }) => isText(track.values.at(-1)) || track.times.length === 0);
    return Chart.isAvailable && !areTexts;
  }

  #describeAll() {
    byId("steps").hidden = !this.#canDraw;
    byId("undo").disabled = !this.#range.canUndo;
    this.#describe();
    showLegend(this.#lines, this.#removed);
    this.#table(!this.#canDraw);
    this.#tellElsewhere();
  }

  #describe() {
    const lack = Chart.isAvailable ? "" : " The chart's script is missing: the server has to be installed again.";
    const tracks = this.#lines.map(({ track }) => track).filter(({ times }) => times.length > 0);
    if (this.#lines.length > 1) {
      const [start, end] = [tracks.map(({ times }) => times[0]), tracks.map(({ times }) => times.at(-1))];
      const span = `from ${stamp(Math.min(...start) / 1_000)} to ${stamp(Math.max(...end) / 1_000)}, ${zone()}`;
      const means = tracks.some(({ widthMs }) => widthMs) ? "; means, shaded from least to greatest" : "";
      const amount = `${this.#lines.length} series ${span}${means}.`;
      setText(byId("caption"), amount + lack);
      setText(byId("figures"), "");
      byId("chart").setAttribute("aria-label", `Chart of ${this.#lines.map(({ name }) => name).join(", ")}. ${amount} The table below has their figures.`);
      return;
    }
    const [{ name, track }] = this.#lines;
    const amount = amountOf(track);
    setText(byId("caption"), amount + lack);
    if (!this.#canDraw) return;
    const { least, most, mean } = extremes(track);
    const figures = `Last ${brief(track.values.at(-1))}, least ${brief(least)}, greatest ${brief(most)}`;
    const middle = mean === null ? "" : `, mean ${brief(mean)}`;
    setText(byId("figures"), track.isFlag ? "" : figures + middle);
    const whole = [["Last", track.values.at(-1)], ["least", least], ["greatest", most], ["mean", mean]];
    byId("figures").title = whole.map(([word, one]) => `${word} ${value(one)}`).join(", ");
    byId("chart").setAttribute("aria-label", `Chart of ${name}. ${amount} ${figures}.`);
  }

  #tellElsewhere() {
    const told = this.#lines.map(({ deviceId, name }) => asCommand(deviceId, name, this.#range.state));
    setText(byId("line"), told.map(({ line }) => line).join("\n"));
    setText(byId("program"), told[0].program);
    byId("elsewhere").hidden = false;
  }

  #table(isAllThereIs) {
    const details = byId("latest");
    if (details.hidden) details.open = isAllThereIs;
    details.hidden = false;
    const areMany = this.#lines.length > 1;
    const points = this.#lines.flatMap(({ name, latest }) => latest.map((point) => ({ name, ...point })));
    points.sort((a, b) => b.time - a.time);
    const latest = points.slice(0, TABLE_ROWS);
    const shown = JSON.stringify([areMany, latest]);
    if (shown === this.#shownLatest) return; // a text that somebody scrolls through stays in place
    this.#shownLatest = shown;
    byId("rows-series").hidden = !areMany;
    const rows = latest.map((point) => {
      const row = make("tr");
      const cell = make("td");
      cell.append(make("div", value(point.value))); // which scrolls: a text may be a whole log
      row.append(make("td", stampUs(point.time)), ...(areMany ? [make("td", point.name)] : []), cell);
      return row;
    });
    byId("rows").replaceChildren(...rows);
  }

  #point(places) {
    const drawn = this.#lines.filter(({ track }) => track?.times.length > 0);
    const points = (places ?? []).map((place, i) => ({ place, ...drawn[i] })).filter(({ place, track }) => place !== null && place < track?.times.length);
    if (points.length === 0) return setText(byId("readout"), "");
    const time = points.map(({ place, track }) => track.times[place]).reduce((a, b) => Math.max(a, b));
    const said = ({ name, place, track }) => `${this.#lines.length > 1 ? `${name} ` : ""}${value(track.values[place])}`;
    setText(byId("readout"), `${stampUs(time)}: ${points.map(said).join(", ")}`);
  }

  async #save() {
    const sources = this.#lines.map(({ source }) => source);
    if (!sources.every((source) => source.isAddressable)) {
      setText(byId("caption"), "No address can hold this name; use iobeam-server export.");
      return;
    }
    const saving = new AbortController();
    this.#saving = saving;
    byId("csv").disabled = true;
    setText(byId("csv"), "Downloading …");
    try {
      const times = byId("csv-times").value;
      await download(sources, this.#range.bounds(sources[0].api.now()), times, saving.signal);
    } catch (error) {
      if (!saving.signal.aborted) this.#reporter.refused(error);
    } finally {
      this.#saving = null;
      this.#enable(this.#lines.length > 0);
      setText(byId("csv"), "Download CSV");
    }
  }

  #picture() {
    const canvas = byId("chart").querySelector("canvas");
    if (canvas === null) return;
    const ground = getComputedStyle(byId("chart-panel")).backgroundColor;
    savePicture(canvas, ground, this.#lines.map(({ source }) => source));
  }
}

/** Look for the strays of lines, once for each. */
async function findStrays(lines, isOpen, signal) {
  await Promise.all(lines.map(async (line) => {
    line.strays ??= line.source.isAddressable ? await straysOf(line.source, isOpen, signal) : {};
  }));
}

/** Return the bounds of everything but the strays. */
function withoutStrays(lines, { from, to }) {
  const starts = lines.map(({ strays }) => (strays.past ? strays.past.to + 1 : -Infinity));
  const start = starts.reduce((a, b) => Math.min(a, b));
  const hasFuture = lines.some(({ strays }) => strays.future);
  return {
    from: start > -Infinity ? start : from,
    to: hasFuture ? Math.floor(lines[0].source.api.now()) + AHEAD_MS : to,
  };
}

/** Read a line, or what is new of it; returns what has changed of it. */
async function readLine(line, bounds, signal) {
  const { source, readAt } = line;
  const isStale = Date.now() - readAt > (line.track?.widthMs ? REREAD_BUCKETS_MS : REREAD_RAW_MS);
  let track = line.track?.times.length && !isStale ? await extend(source, line.track, bounds, signal) : null;
  const isNew = track === null;
  if (isNew) track = await load(source, bounds, signal);
  const latest = await latestPoints(source, track, bounds, signal);
  return { track: since(track, bounds.from), latest, readAt: isNew ? Date.now() : readAt };
}

/** The last points of a track; of buckets, which are none, and of an empty range they are read. */
async function latestPoints(source, { times, values, widthMs }, { from, to }, signal) {
  if (times.length === 0) return source.read({ limit: 1 }, signal);
  if (widthMs) return source.read({ from, to, limit: TABLE_ROWS }, signal);
  const last = values.slice(-TABLE_ROWS);
  return times.slice(-TABLE_ROWS).map((time, i) => ({ time, value: last[i] }));
}

/** How much a track is, in words. */
function amountOf({ times, widthMs, isFlag, isCut }) {
  const span = `from ${stamp(times[0] / 1_000)} to ${stamp(times.at(-1) / 1_000)}, ${zone()}`;
  const means = isFlag
    ? `Share of true points in each ${width(widthMs)}`
    : `Mean of each ${width(widthMs)}, shaded from least to greatest`;
  const points = `${isCut ? "The last " : ""}${times.length} ${times.length === 1 ? "point" : "points"}`;
  const rest = widthMs || isCut ? "; the CSV has every point" : "";
  return `${widthMs ? `${means},` : points} ${span}${rest}.`;
}

function scaled(from, to, by) {
  const middle = (from + to) / 2;
  return [middle - ((to - from) * by) / 2, middle + ((to - from) * by) / 2];
}
