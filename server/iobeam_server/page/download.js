// Series as a file.

import { make } from "./dom.js";

const HEADING_BYTES = 100; // more than "project_id,device_id,name,time,value" has
const KEEP_MS = 60_000; // the browser has begun to write by then

/**
 * Fetch the CSV of sources within `{from, to}` (ms or null) and hand it to the browser as one.
 *
 * Fetched rather than linked to: a link carries no Authorization header, and the
 * token must not stand in a URL.
 *
 * @param timefmt "usec" or "iso": neither rounds a time.
 */
export async function download(sources, { from, to }, timefmt, signal) {
  const query = { from, to, output: "csv", timefmt };
  const pieces = [];
  for (const source of sources) {
    const blob = await source.api.blob(source.path, query, signal);
    signal.throwIfAborted();
    // the heading once
    pieces.push(pieces.length ? blob.slice((await blob.slice(0, HEADING_BYTES).text()).indexOf("\n") + 1) : blob);
  }
  save(new Blob(pieces, { type: "text/csv" }), fileName(sources, "csv"));
}

/** Hand a picture of a canvas to the browser, on the ground that it stands on. */
export function savePicture(canvas, ground, sources) {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const paper = copy.getContext("2d");
  paper.fillStyle = ground;
  paper.fillRect(0, 0, copy.width, copy.height);
  paper.drawImage(canvas, 0, 0);
  copy.toBlob((blob) => save(blob, fileName(sources, "png")));
}

function save(blob, name) {
  const href = URL.createObjectURL(blob);
  make("a", "", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), KEEP_MS);
}

function fileName(sources, ending) {
  const [{ api, deviceId, name }] = sources;
  const more = sources.length > 1 ? [`and-${sources.length - 1}-more`] : [];
  return `${["iobeam", api.projectId, deviceId, name, ...more].join("-").replace(/[^\w.-]+/g, "_").slice(0, 120)}.${ending}`;
}
