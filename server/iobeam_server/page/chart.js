// uPlot, fitted to this page: its colours, its size, 24-hour times.

import { axisLabels } from "./format.js";
import { alone, withGaps } from "./gaps.js";

/* global uPlot */

const HEIGHT_PX = 320;
const DRAG_PX = 8; // less is a click, not a range

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
  #places = []; // index of the track's point for each of the plot's; null in a gap

  /**
   * @param onSelect called with from, to (ms) of a range drawn with the mouse.
   * @param onPoint called with the index of the point under the mouse, or null.
   * @param onUndo called at a double click.
   */
  constructor(element, onSelect, onPoint, onUndo) {
    element.addEventListener("dblclick", onUndo);
    this.#element = element;
    this.#onSelect = onSelect;
    this.#onPoint = onPoint;
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#remove(); // a canvas keeps the colours it was drawn with
      if (this.#last) this.show(...this.#last);
    });
  }

  /** False when the script of uPlot did not load: the page then goes by its table. */
  static get isAvailable() {
    return typeof uPlot === "function";
  }

  /** Draw a track of numbers or booleans between two times (ms). */
  show(track, startMs, endMs) {
    this.#last = [track, startMs, endMs];
    // a range of no width cannot be drawn
    this.#bounds = endMs > startMs ? [startMs / 1_000, endMs / 1_000] : [startMs / 1_000 - 30, startMs / 1_000 + 30];
    const { isFlag } = track;
    const columns = [track.values.map(Number)];
    if (track.lows && !isFlag) columns.push(track.highs, track.lows);
    // a flag holds until the next one is sent
    const drawn = isFlag ? { times: track.times, columns, places: [...track.times.keys()] } : withGaps(track, columns);
    const data = [drawn.times.map((us) => us / 1e6), ...drawn.columns];
    this.#places = drawn.places;
    const shape = `${isFlag} ${data.length}`;
    if (this.#plot && this.#shape === shape) {
      this.#plot.setData(data);
      return;
    }
    this.#remove();
    this.#shape = shape;
    this.#plot = new uPlot(this.#options(isFlag, data.length > 2), data, this.#element);
  }

  clear() {
    this.#last = null;
    this.#remove();
  }

  #remove() {
    this.#plot?.destroy();
    this.#plot = null;
  }

  #size() {
    return { width: Math.max(200, this.#element.clientWidth), height: HEIGHT_PX };
  }

  #options(isFlag, hasBand) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const edge = { stroke: "transparent", points: { show: false } };
    const axis = {
      stroke: colour("faint"),
      font: "12px system-ui, sans-serif",
      grid: { stroke: colour("line"), width: 1 },
      ticks: { stroke: colour("line"), width: 1 },
    };
    const y = isFlag
      ? { splits: [0, 1], values: () => ["false", "true"] }
      : { values: (plot, splits, axis, space, step) => axisLabels(splits, step), size: (plot, labels) => 24 + 7 * Math.max(3, ...(labels ?? []).map((label) => String(label).length)) };
    return {
      ...this.#size(),
      legend: { show: false }, // the caption beside the chart says it, also to a screen reader
      cursor: { y: false, drag: { x: true, y: false, setScale: false } },
      scales: { x: { range: () => this.#bounds }, y: isFlag ? { range: [-0.1, 1.1] } : {} },
      axes: [{ ...axis, values: TIMES, space: 70 }, { ...axis, ...y }],
      series: [
        {},
        {
          stroke: colour("accent"),
          width: 2,
          // all are marked where they are few, else those that no line leads to
          points: { filter: (plot, i, isShown) => (isShown ? null : alone(plot.data[i])) },
          // there is nothing between false and true
          ...(isFlag ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
        },
        ...(hasBand ? [edge, edge] : []),
      ],
      bands: hasBand ? [{ series: [2, 3], fill: colour("band") }] : [],
      hooks: {
        setCursor: [(plot) => this.#onPoint(this.#places[plot.cursor.idx] ?? null)],
        setSelect: [(plot) => this.#selected(plot)],
      },
    };
  }

  #selected(plot) {
    const { left, width } = plot.select;
    if (width === 0) return;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (width < DRAG_PX) return;
    this.#onSelect(plot.posToVal(left, "x") * 1_000, plot.posToVal(left + width, "x") * 1_000);
  }
}
