// A series as a file.

import { make } from "./dom.js";

const KEEP_MS = 60_000; // the browser has begun to write by then

/**
 * Fetch the CSV of a source within `{from, to}` (ms or null) and hand it to the browser.
 *
 * Fetched rather than linked to: a link carries no Authorization header, and the
 * token must not stand in a URL. Times in us, so that nothing is rounded.
 */
export async function download(source, { from, to }, signal) {
  const query = { from, to, output: "csv", timefmt: "usec" };
  const blob = await source.api.blob(source.path, query, signal);
  signal.throwIfAborted();
  const href = URL.createObjectURL(blob);
  make("a", "", { href, download: fileName(source) }).click();
  setTimeout(() => URL.revokeObjectURL(href), KEEP_MS);
}

const fileName = ({ api, deviceId, name }) =>
  `${["iobeam", api.projectId, deviceId, name].join("-").replace(/[^\w.-]+/g, "_").slice(0, 120)}.csv`;
