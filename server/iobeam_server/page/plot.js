// The panel of the chosen series: chart, caption, table of the latest points, CSV.

import { Chart } from "./chart.js";
import { asCommand } from "./command.js";
import { byId, make, setText } from "./dom.js";
import { download } from "./download.js";
import { brief, stamp, stampUs, value, width } from "./format.js";
import { extend, isText, load, since } from "./points.js";
import { poll } from "./poll.js";
import { Range } from "./range.js";

const EVERY_MS = 3_000;
// Following asks for what is newer than the last point. A device that was off-line may send
// older ones, so the whole range is read again now and then; of buckets the server has to
// read every point, so more seldom.
const REREAD_RAW_MS = 60_000;
const REREAD_BUCKETS_MS = 300_000;
const TABLE_ROWS = 20;

export class Plot {
  #chart = new Chart(
    byId("chart"),
    (from, to) => this.#range.set(from, to),
    (i) => this.#point(i),
    () => this.#range.undo(),
  );
  #range = new Range(() => {
    this.#ranged();
    this.#restart();
  });
  #source = null;
  #reporter;
  #track = null;
  #end = () => {};
  #shownLatest = ""; // what the table holds
  #saving = null; // AbortController of a download under way
  #ranged;

  /** @param ranged called when another range has been chosen. */
  constructor(ranged) {
    this.#ranged = ranged;
    byId("csv").addEventListener("click", () => this.#save());
  }

  open(source, reporter) {
    this.#stop();
    this.#source = source;
    this.#reporter = reporter;
    setText(byId("chart-title"), source.name);
    this.#restart();
  }

  get range() {
    return this.#range.state;
  }

  /** Look at another range, as `range` gave it; null is the usual one. */
  set range(state) {
    this.#range.restore(state);
    this.#restart();
  }

  close() {
    this.#stop();
    setText(byId("chart-title"), "Chart");
    setText(byId("caption"), "Choose a device and a series.");
  }

  /** Leave the series; the range stays for the next one. */
  #stop() {
    this.#end();
    this.#saving?.abort();
    this.#source = null;
    this.#track = null;
    this.#clear();
    byId("csv").disabled = true;
  }

  #clear() {
    this.#chart.clear();
    byId("chart").setAttribute("aria-label", "No chart yet");
    for (const id of ["latest", "elsewhere"]) byId(id).hidden = true;
    for (const id of ["figures", "line", "program"]) setText(byId(id), "");
    byId("rows").replaceChildren();
    this.#shownLatest = "";
    setText(byId("readout"), "");
  }

  #restart() {
    if (!this.#source) return;
    this.#end();
    this.#clear();
    this.#track = null;
    byId("csv").disabled = this.#saving !== null;
    setText(byId("caption"), "Reading …");
    const source = this.#source;
    let readAt = 0;
    const round = async (signal) => {
      const bounds = this.#range.bounds(source.api.now());
      let track = this.#track;
      const isStale = Date.now() - readAt > (track?.widthMs ? REREAD_BUCKETS_MS : REREAD_RAW_MS);
      track = track?.times.length && !isStale ? await extend(source, track, bounds, signal) : null;
      if (track === null) {
        track = await load(source, bounds, signal);
        readAt = Date.now();
      }
      const latest = await latestPoints(source, track, bounds, signal);
      signal.throwIfAborted();
      this.#track = since(track, bounds.from);
      this.#show(bounds, latest);
    };
    this.#end = poll(round, EVERY_MS, this.#reporter);
  }

  #show(bounds, latest) {
    const { times, values } = this.#track;
    if (times.length === 0) {
      const last = latest.at(-1);
      this.#clear();
      setText(byId("caption"), `Nothing in this range.${last ? ` The newest point is of ${stampUs(last.time)}.` : ""}`);
      return;
    }
    const areTexts = isText(values.at(-1));
    const start = bounds.from ?? times[0] / 1_000;
    const end = bounds.to ?? Math.max(times.at(-1) / 1_000, bounds.from === null ? -Infinity : this.#source.api.now());
    const canDraw = Chart.isAvailable && !areTexts;
    if (canDraw) this.#chart.show(this.#track, start, end);
    this.#describe(canDraw);
    this.#table(latest, !canDraw);
    this.#tellElsewhere();
  }

  #describe(canDraw) {
    const { times, values, lows, highs, widthMs, isFlag, isCut } = this.#track;
    const span = `from ${stamp(times[0] / 1_000)} to ${stamp(times.at(-1) / 1_000)}`;
    const means = isFlag
      ? `Share of true points in each ${width(widthMs)}`
      : `Mean of each ${width(widthMs)}, shaded from least to greatest`;
    const points = `${isCut ? "The last " : ""}${times.length} ${times.length === 1 ? "point" : "points"}`;
    const rest = widthMs || isCut ? "; the CSV has every point" : "";
    const amount = `${widthMs ? `${means},` : points} ${span}${rest}.`;
    const lack = Chart.isAvailable ? "" : " The chart's script is missing: the server has to be installed again.";
    setText(byId("caption"), amount + lack);
    if (!canDraw) return;
    // of the points, not of the means that stand for them
    const least = (lows ?? values).map(Number).reduce((a, b) => Math.min(a, b));
    const most = (highs ?? values).map(Number).reduce((a, b) => Math.max(a, b));
    const figures = `Last ${brief(values.at(-1))}, least ${brief(least)}, greatest ${brief(most)}`;
    setText(byId("figures"), isFlag ? "" : `${figures}${widthMs ? "" : `, mean ${brief(mean(values))}`}`);
    byId("chart").setAttribute("aria-label", `Chart of ${this.#source.name}. ${amount} ${figures}.`);
  }

  #tellElsewhere() {
    const { line, program } = asCommand(this.#source.deviceId, this.#source.name, this.#range.state);
    setText(byId("line"), line);
    setText(byId("program"), program);
    byId("elsewhere").hidden = false;
  }

  #table(latest, isAllThereIs) {
    const details = byId("latest");
    if (details.hidden) details.open = isAllThereIs;
    details.hidden = false;
    const shown = JSON.stringify(latest);
    if (shown === this.#shownLatest) return; // a text that somebody scrolls through stays in place
    this.#shownLatest = shown;
    const rows = latest.map((point) => {
      const row = make("tr");
      const cell = make("td");
      cell.append(make("div", value(point.value))); // which scrolls: a text may be a whole log
      row.append(make("td", stampUs(point.time)), cell);
      return row;
    });
    byId("rows").replaceChildren(...rows.reverse());
  }

  #point(index) {
    const track = this.#track;
    const hasPoint = track !== null && index !== null && index < track.times.length;
    setText(byId("readout"), hasPoint ? `${stampUs(track.times[index])}: ${value(track.values[index])}` : "");
  }

  async #save() {
    const source = this.#source;
    if (!source.isAddressable) {
      setText(byId("caption"), "No address can hold this name; use iobeam-server export.");
      return;
    }
    const saving = new AbortController();
    this.#saving = saving;
    byId("csv").disabled = true;
    setText(byId("csv"), "Downloading …");
    try {
      await download(source, this.#range.bounds(source.api.now()), saving.signal);
    } catch (error) {
      if (!saving.signal.aborted) this.#reporter.refused(error);
    } finally {
      this.#saving = null;
      byId("csv").disabled = this.#source === null;
      setText(byId("csv"), "Download CSV");
    }
  }
}

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

/** The last points of a track; of buckets, which are none, and of an empty range they are read. */
async function latestPoints(source, { times, values, widthMs }, { from, to }, signal) {
  if (times.length === 0) return source.read({ limit: 1 }, signal);
  if (widthMs) return source.read({ from, to, limit: TABLE_ROWS }, signal);
  const last = values.slice(-TABLE_ROWS);
  return times.slice(-TABLE_ROWS).map((time, i) => ({ time, value: last[i] }));
}
