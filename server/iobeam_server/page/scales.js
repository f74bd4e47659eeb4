// Which lines of a chart share an axis: those of which none would lie flat.

const MOST = 3; // axes; more leave no room for the chart
const FLAT = 8; // a line has an eighth of the height at least

/**
 * Return for each range `[least, greatest]` the number of its axis, from 0.
 *
 * In the order given, each goes to the first axis where it and those there already keep an
 * eighth of the height; where there are three, to the one that it stretches least.
 */
export function axesOf(ranges) {
  const axes = [];
  return ranges.map((range) => {
    const fits = axes.findIndex((axis) => stretch(axis, range) <= FLAT);
    if (fits < 0 && axes.length < MOST) {
      axes.push([range]);
      return axes.length - 1;
    }
    const costs = axes.map((axis) => stretch(axis, range));
    const at = fits < 0 ? costs.indexOf(Math.min(...costs)) : fits;
    axes[at].push(range);
    return at;
  });
}

function stretch(axis, range) {
  const all = [...axis, range];
  const span = Math.max(...all.map(([, most]) => most)) - Math.min(...all.map(([least]) => least));
  return span === 0 ? 1 : span / Math.min(...all.map(height));
}

/** A line that is level says by its distance from 0 what counts as near. */
function height([least, most]) {
  return most - least || Math.abs(most) / 4 || Number.MIN_VALUE;
}
