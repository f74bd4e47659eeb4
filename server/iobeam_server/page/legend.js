// What each line of a chart is, and what it says, where there are several.

import { byId, make } from "./dom.js";
import { brief, value } from "./format.js";

const FIGURES = ["Last", "Least", "Mean", "Greatest"];

/**
 * Show a row for each of `[{deviceId, name, colour, track}]`; track is null until it is read.
 *
 * @param remove called with a line that is to go.
 */
export function showLegend(lines, remove) {
  byId("legend").hidden = lines.length < 2;
  if (lines.length < 2) return byId("legend-rows").replaceChildren();
  const rows = lines.map((line) => row(line, remove));
  const focused = document.activeElement?.closest("#legend-rows tr")?.rowIndex;
  byId("legend-rows").replaceChildren(...rows);
  // it is made anew every few seconds, while somebody may be about to press a button
  if (focused) rows[Math.min(focused, rows.length) - 1].querySelector("button").focus();
}

function row(line, remove) {
  const { deviceId, name, colour, track } = line;
  const element = make("tr", "", { class: `line-${colour}`, role: "row" });
  const head = make("th", "", { scope: "row", role: "rowheader" });
  head.append(make("span", "", { class: "swatch" }), make("bdi", name), make("small", ` ${deviceId}`));
  const button = make("button", "×", { type: "button", "aria-label": `Remove ${name} of ${deviceId}`, title: "Remove" });
  button.addEventListener("click", () => remove(line));
  const cell = make("td", "", { role: "cell" });
  cell.append(button);
  const cells = figures(track).map((one, i) => {
    const more = { role: "cell", "data-name": FIGURES[i], ...(one === null ? {} : { title: value(one) }) };
    return make("td", one === null ? "" : brief(one), more);
  });
  element.append(head, ...cells, cell);
  return element;
}

function figures(track) {
  if (!track?.times.length) return [null, null, null, null];
  const { least, mean, most } = extremes(track);
  const ends = track.isFlag ? [Boolean(least), Boolean(most)] : [least, most];
  return [track.values.at(-1), ends[0], mean, ends[1]];
}

/** Return `{least, mean, most}` of a track; null of texts. */
export function extremes({ times, values, lows, highs, counts }) {
  if (times.length === 0 || typeof values.at(-1) === "string") return { least: null, mean: null, most: null };
  // of the points, not of the means that stand for them
  const least = (lows ?? values).map(Number).reduce((a, b) => Math.min(a, b));
  const most = (highs ?? values).map(Number).reduce((a, b) => Math.max(a, b));
  let [sum, weight] = [0, 0];
  values.forEach((value, i) => {
    if (value === null) return; // a mean that no number can hold
    sum += Number(value) * (counts?.[i] ?? 1);
    weight += counts?.[i] ?? 1;
  });
  return { least, most, mean: weight ? sum / weight : null };
}
