// Zoom and pan of a chart by wheel and fingers.

const STEP = 1.25; // of one notch of a wheel
const SETTLED_MS = 250; // without a further notch, after which the range is read
const LEAST_PX = 8; // of a finger's way; less is a tap

/**
 * @param target `{area(), bounds(), preview(from, to), commit(from, to)}`: the rectangle of the
 *   plot on the screen, its range in ms; preview shows a range with what there is, commit reads it.
 */
export function gestures(element, target) {
  const fingers = new Map(); // pointer id -> x
  let startedAt = 0; // x of the first finger
  let hasMoved = false;
  let timer;

  const timeAt = (x, [from, to], { left, width }) => from + ((to - from) * (x - left)) / width;
  const settle = () => target.commit(...target.bounds());

  element.addEventListener("wheel", (event) => {
    if (!(event.ctrlKey || event.metaKey)) return; // without a key it scrolls the page
    event.preventDefault();
    const [from, to] = target.bounds();
    const middle = timeAt(event.clientX, [from, to], target.area());
    const by = event.deltaY > 0 ? STEP : 1 / STEP;
    target.preview(middle - (middle - from) * by, middle + (to - middle) * by);
    clearTimeout(timer);
    timer = setTimeout(settle, SETTLED_MS);
  }, { passive: false });

  element.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    if (fingers.size === 0) [startedAt, hasMoved] = [event.clientX, false];
    fingers.set(event.pointerId, event.clientX);
  });
  element.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = [...fingers.values()];
    fingers.set(event.pointerId, event.clientX);
    const after = [...fingers.values()];
    const isTap = after.length === 1 && !hasMoved && Math.abs(after[0] - startedAt) < LEAST_PX;
    if (after.length > 2 || isTap) return;
    hasMoved = true;
    const area = target.area();
    const bounds = target.bounds();
    // the times under the fingers stay there
    const times = before.map((x) => timeAt(x, bounds, area));
    const span = after.length === 2 ? (times[1] - times[0]) * (area.width / (after[1] - after[0])) : bounds[1] - bounds[0];
    if (!(span > 0) || !Number.isFinite(span)) return;
    const from = times[0] - (span * (after[0] - area.left)) / area.width;
    target.preview(from, from + span);
  });
  const lift = (event) => {
    if (fingers.delete(event.pointerId) && fingers.size === 0 && hasMoved) settle();
  };
  for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, lift);
}
