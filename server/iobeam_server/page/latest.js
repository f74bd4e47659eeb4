// The newest point of each series of a device: what it has, and when it last sent.

/**
 * Return `[{name, time (us), value}]`, in the order of names.
 *
 * One look-up in the table's key per series on the server, whatever the device has
 * stored, so it may be asked every few seconds.
 */
export async function latestOf(api, deviceId, signal) {
  const query = { limit: 1, timefmt: "usec" };
  const { result } = await api.json(api.pathOf("exports", deviceId), query, signal);
  return result.map(({ name, data: [point] }) => ({ name, ...point }));
}

/** Return the newest time of them, ms; null when there is none. */
export const newest = (latest) =>
  latest.reduce((most, { time }) => Math.max(most ?? -Infinity, time / 1_000), null);
