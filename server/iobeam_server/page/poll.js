// Work repeated while somebody looks.

import { Gone } from "./api.js";

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 15_000; // a backend that comes back is noticed soon enough

/**
 * Do `work(signal)` now and again `everyMs` after it has ended; return what stops it.
 *
 * Nothing is asked while the page is hidden; it goes on at once when it is seen
 * again. After Gone it waits longer each time, any other error ends it.
 *
 * @param report `ok()`, `lost(error)`, `refused(error)` and `ended()` are called.
 */
export function poll(work, everyMs, report) {
  const stop = new AbortController();
  const { signal } = stop;
  let timer;
  let isBusy = false;
  let retryMs = FIRST_RETRY_MS;

  async function round() {
    clearTimeout(timer);
    if (isBusy || document.hidden || signal.aborted) return;
    isBusy = true;
    let waitMs = everyMs;
    try {
      await work(signal);
      if (signal.aborted) return;
      retryMs = FIRST_RETRY_MS;
      report.ok();
    } catch (error) {
      if (signal.aborted) return; // stopped: nobody waits for this any more
      if (!(error instanceof Gone)) {
        end();
        report.refused(error);
        return;
      }
      waitMs = retryMs;
      retryMs = Math.min(LAST_RETRY_MS, retryMs * 2);
      report.lost(error);
    } finally {
      isBusy = false;
    }
    timer = setTimeout(round, waitMs);
  }

  function end() {
    stop.abort();
    clearTimeout(timer);
    report.ended();
  }

  document.addEventListener("visibilitychange", round, { signal });
  window.addEventListener("online", round, { signal });
  round();
  return end;
}
