// Small charts beside the names of series: what the last day looked like.

const DAY_MS = 86_400_000;
const BUCKETS = 40;
const [WIDE, HIGH] = [100, 20]; // in its own units; the style says how large it is shown
const SVG = "http://www.w3.org/2000/svg";

/** Read the last day of a device; return `{name: places of a line}` of the series that have one. */
export async function sparksOf(api, deviceId, signal) {
  const query = { from: Math.floor(api.now()) - DAY_MS, to: Math.floor(api.now()), buckets: BUCKETS };
  const { result } = await api.json(api.pathOf("summaries", deviceId), query, signal);
  return new Map(result.map(({ name, data }) => [name, placesOf(data)]));
}

/** Make the element that shows a line; of no use to who cannot see it. */
export function makeSpark() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 -1 ${WIDE} ${HIGH + 2}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "polyline"));
  return svg;
}

/** Show a line of `sparksOf`; "" or nothing hides the element. */
export function showSpark(svg, places = "") {
  svg.classList.toggle("none", places === "");
  const line = svg.firstElementChild;
  if ((line.getAttribute("points") ?? "") !== places) line.setAttribute("points", places);
}

function placesOf(buckets) {
  const shown = buckets.filter(({ mean }) => mean !== null);
  if (shown.length < 2) return "";
  const times = shown.map(({ time }) => time);
  const means = shown.map(({ mean }) => mean);
  const [first, last] = [times[0], times.at(-1)];
  const [least, most] = [Math.min(...means), Math.max(...means)];
  const y = (mean) => (most > least ? HIGH * (1 - (mean - least) / (most - least)) : HIGH / 2);
  const place = ({ time, mean }) => `${((WIDE * (time - first)) / (last - first)).toFixed(1)},${y(mean).toFixed(1)}`;
  return shown.map(place).join(" ");
}
