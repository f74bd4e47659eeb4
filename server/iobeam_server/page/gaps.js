// Where a line has to break: where nothing came.

const STEPS = 5; // more of the usual steps than this between two points are an outage

/**
 * Put an empty point into each outage of a track.
 *
 * Of raw points that is more than STEPS of their median step, of buckets one that is empty.
 *
 * @returns `{times, columns, places}`: times (us); columns with null in outages; places has for
 *   each time its index in the track, or null.
 */
export function withGaps({ times, widthMs }, columns) {
  const limit = widthMs ? widthMs * 1_500 : STEPS * median(steps(times));
  const places = [];
  times.forEach((time, i) => {
    if (i > 0 && time - times[i - 1] > limit) places.push(null);
    places.push(i);
  });
  const filled = (column, between) => places.map((place, at) => (place === null ? between(at) : column[place]));
  return {
    times: filled(times, (at) => (times[places[at - 1]] + times[places[at + 1]]) / 2),
    columns: columns.map((column) => filled(column, () => null)),
    places,
  };
}

/**
 * Indices of points that stand alone: no line shows them.
 *
 * undefined is where other lines of the chart have a point, null where this one breaks.
 */
export function alone(column) {
  const own = [...column.keys()].filter((i) => column[i] !== undefined);
  const isThere = (at) => (column[own[at]] ?? null) !== null;
  return own.filter((_, at) => isThere(at) && !isThere(at - 1) && !isThere(at + 1));
}

const steps = (times) => times.slice(1).map((time, i) => time - times[i]);

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : 0;
}
