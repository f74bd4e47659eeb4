// uPlot, fitted to this page: its colours, its size, 24-hour times, several lines.

import { axisLabels, isUtc } from "./format.js";
import { alone, withGaps } from "./gaps.js";
import { gestures } from "./gestures.js";
import { axesOf } from "./scales.js";

/* global uPlot */

const HEIGHT_PX = 320;
const DRAG_PX = 8; // less is a click, not a range
const LEAST_MS = 1; // of a range, however far one zooms

const day = ["\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}"];
const TIMES = [
  // step in seconds, label, then what is added where year, month, day ... change
  [365 * 86_400, "{YYYY}", null, null, null, null, null, null, 1],
  [28 * 86_400, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [86_400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", ...day, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", ...day, null, null, null, 1],
  [0.001, "{HH}:{mm}:{ss}.{fff}", ...day, null, null, null, 1],
];

export class Chart {
  #element;
  #onSelect;
  #onPoint;
  #plot = null;
  #shape = "";
  #bounds = [0, 1]; // s
  #last = null;
  #places = []; // of each line: index of its track's point for each of the plot's; null in a gap

  /**
   * @param onSelect called with from, to (ms) of a range that was drawn, or zoomed or moved to.
   * @param onPoint called with the index of each line's point under the mouse, or null.
   * @param onUndo called at a double click.
   */
  constructor(element, onSelect, onPoint, onUndo) {
    element.addEventListener("dblclick", onUndo);
    this.#element = element;
    this.#onSelect = onSelect;
    this.#onPoint = onPoint;
    gestures(element, {
      area: () => (this.#plot?.over ?? element).getBoundingClientRect(),
      bounds: () => this.#bounds.map((s) => s * 1_000),
      preview: (from, to) => this.#preview(from, to),
      commit: (from, to) => this.#plot && onSelect(from, to),
    });
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  /** False when the script of uPlot did not load: the page then goes by its table. */
  static get isAvailable() {
    return typeof uPlot === "function";
  }

  /** Draw lines `{track, colour}` between two times (ms). */
  show(lines, startMs, endMs) {
    this.#last = [lines, startMs, endMs];
    // a range of no width cannot be drawn
    this.#bounds = endMs > startMs ? [startMs / 1_000, endMs / 1_000] : [startMs / 1_000 - 30, startMs / 1_000 + 30];
    const parts = lines.map(({ track, colour }) => ({ colour, ...partOf(track) }));
    const axes = axesOf(parts.filter(({ kind }) => kind === "number").map(({ range }) => range));
    let at = 0;
    for (const part of parts) part.axis = part.kind === "number" ? axes[at++] : null;
    const [data, places] = together(parts);
    this.#places = places;
    const shape = parts.map(({ kind, colour, axis, columns }) => [kind, colour, axis, columns.length]).join(" ");
    if (this.#plot && this.#shape === shape) {
      this.#plot.setData(data);
      return;
    }
    this.#remove();
    this.#shape = shape;
    this.#plot = new uPlot(this.#options(parts), data, this.#element);
  }

  /** Draw the same anew: a canvas keeps the colours and the zone it was drawn with. */
  redraw() {
    this.#remove();
    if (this.#last) this.show(...this.#last);
  }

  clear() {
    this.#last = null;
    this.#remove();
  }

  #remove() {
    this.#plot?.destroy();
    this.#plot = null;
  }

  #preview(from, to) {
    if (!this.#plot || to - from < LEAST_MS) return;
    this.#bounds = [from / 1_000, to / 1_000];
    this.#plot.setScale("x", { min: this.#bounds[0], max: this.#bounds[1] });
  }

  #size() {
    return { width: Math.max(200, this.#element.clientWidth), height: HEIGHT_PX };
  }

  #options(parts) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const areFlags = parts.every(({ kind }) => kind === "flag");
    const axis = {
      stroke: colour("faint"),
      font: "12px system-ui, sans-serif",
      grid: { stroke: colour("line"), width: 1 },
      ticks: { stroke: colour("line"), width: 1 },
    };
    const axes = [...new Set(parts.map((part) => part.axis))].filter((one) => one !== null).sort();
    const numbers = (number) => {
      const own = parts.filter((part) => part.axis === number);
      return {
        ...axis,
        scale: `y${number}`,
        // of one line alone it has that one's colour, where there are several axes
        stroke: axes.length > 1 && own.length === 1 ? colour(`line-${own[0].colour}`) : axis.stroke,
        side: number === 0 ? 3 : 1,
        grid: { ...axis.grid, show: number === 0 },
        values: (plot, splits, index, space, step) => axisLabels(splits, step),
        size: (plot, labels) => 24 + 7 * Math.max(3, ...(labels ?? []).flatMap((label) => String(label).split("\n")).map((line) => line.length)),
      };
    };
    const flags = { ...axis, scale: "flag", splits: [0, 1], values: () => ["false", "true"] };
    const series = [{}];
    const bands = [];
    for (const part of parts) {
      const stroke = colour(`line-${part.colour}`);
      if (part.columns.length > 1) bands.push({ series: [series.length + 1, series.length + 2], fill: `${stroke}2e` });
      series.push(...seriesOf(part, stroke, areFlags));
    }
    const scales = { x: { range: () => this.#bounds }, mark: { range: [0, 1] }, flag: { range: areFlags ? [-0.1, 1.1] : [0, 1] } };
    for (const number of axes) scales[`y${number}`] = {};
    return {
      ...this.#size(),
      legend: { show: false }, // the caption beside the chart says it, also to a screen reader
      cursor: { y: false, drag: { x: true, y: false, setScale: false } },
      tzDate: (s) => (isUtc() ? uPlot.tzDate(new Date(s * 1_000), "Etc/UTC") : new Date(s * 1_000)),
      scales,
      axes: [{ ...axis, values: TIMES, space: 70 }, ...axes.map(numbers), ...(areFlags ? [flags] : [])],
      series,
      bands,
      hooks: {
        setCursor: [(plot) => this.#pointed(plot.cursor.idx)],
        setSelect: [(plot) => this.#selected(plot)],
      },
    };
  }

  #pointed(index) {
    if (index === null || index === undefined) return this.#onPoint(null);
    // of a line that has no point just there, its last one
    this.#onPoint(this.#places.map((places) => {
      let at = index;
      while (at > 0 && places[at] === undefined) at--;
      return places[at] ?? null;
    }));
  }

  #selected(plot) {
    const { left, width } = plot.select;
    if (width === 0) return;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (width < DRAG_PX) return;
    this.#onSelect(plot.posToVal(left, "x") * 1_000, plot.posToVal(left + width, "x") * 1_000);
  }
}

/** What is drawn of a track: `{kind, times, columns, places, range}`. */
function partOf(track) {
  const all = [...track.times.keys()];
  if (typeof track.values.at(-1) === "string") return { kind: "text", times: track.times, columns: [all.map(() => 0.03)], places: all };
  const columns = [track.values.map((value) => (value === null ? null : Number(value)))];
  // a flag holds until the next one is sent
  if (track.isFlag) return { kind: "flag", times: track.times, columns, places: all };
  if (track.lows) columns.push(track.highs, track.lows);
  const least = (track.lows ?? columns[0]).reduce((a, b) => Math.min(a, b), Infinity);
  const most = (track.highs ?? columns[0]).reduce((a, b) => Math.max(a, b), -Infinity);
  return { kind: "number", range: [least, most], ...withGaps(track, columns) };
}

/** Put parts on one axis of time; returns uPlot's data, and the places of each part. */
function together(parts) {
  const tables = parts.map(({ times, columns, places }) => [times.map((us) => us / 1e6), ...columns, places]);
  const joined = tables.length === 1 ? tables[0] : uPlot.join(tables);
  const data = [joined[0]];
  const places = [];
  let at = 1;
  for (const { columns } of parts) {
    data.push(...joined.slice(at, at + columns.length));
    places.push(joined[at + columns.length]);
    at += columns.length + 1;
  }
  return [data, places];
}

function seriesOf({ kind, axis, columns }, stroke, areFlags) {
  if (kind === "text") return [{ scale: "mark", stroke, paths: () => null, points: { show: true, size: 7, fill: stroke } }];
  // there is nothing between false and true
  if (kind === "flag") {
    const shape = { scale: "flag", stroke, width: areFlags ? 2 : 1, paths: uPlot.paths.stepped({ align: 1 }) };
    return [{ ...shape, fill: areFlags ? undefined : `${stroke}2e`, points: areFlags ? marked : { show: false } }];
  }
  // a line of their own: of a peak of one bucket the shade alone would hardly be seen
  const edge = { scale: `y${axis}`, stroke: `${stroke}80`, width: 1, points: { show: false } };
  return [{ scale: `y${axis}`, stroke, width: 2, points: marked }, ...columns.slice(1).map(() => edge)];
}

// all are marked where they are few, else those that no line leads to
const marked = { filter: (plot, i, isShown) => (isShown ? null : alone(plot.data[i])) };
