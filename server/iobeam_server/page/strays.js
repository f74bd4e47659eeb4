// Points of the future, or of decades before all others: of a device whose clock was wrong.

import { byId, setText } from "./dom.js";
import { stamp } from "./format.js";

const AHEAD_MS = 60_000; // what a clock may well be ahead
const AGES_MS = 3.15576e11; // ten years: no outage lasts so long
const LAST_MS = 8.64e15; // beyond that there is no Date, and no number that is exact
const ADMIN = 4; // of a token's permissions

/**
 * Find the strays of a source: `{future, past}`, each `{count, from, to}` (ms) or null.
 *
 * Past is what lies ten years and more before the next point, where that is a hundredth of all
 * points at most. It is looked for (`isOpen`) where all points are read anyway.
 */
export async function straysOf(source, isOpen, signal) {
  const now = Math.floor(source.api.now());
  const future = await spanOf(source, { from: now + AHEAD_MS }, signal);
  if (!isOpen) return { future, past: null };
  const { data } = await source.summarize({ to: now + AHEAD_MS - 1, buckets: 800 }, signal);
  return { future, past: before(data) };
}

/** The points before a gap of ten years, where they are few; of the buckets of a series. */
export function before(buckets) {
  const total = buckets.reduce((sum, { count }) => sum + count, 0);
  let count = 0;
  for (let i = 1; i < buckets.length; i++) {
    count += buckets[i - 1].count;
    const isGap = buckets[i].time - buckets[i - 1].time > AGES_MS * 1_000;
    // the next may be a stray as well: the last gap counts
    if (isGap && count <= Math.max(1, total / 100)) {
      const rest = before(buckets.slice(i));
      return { count: count + (rest?.count ?? 0), from: Math.floor(buckets[0].time / 1_000), to: rest?.to ?? Math.floor(buckets[i].time / 1_000) - 1 };
    }
  }
  return null;
}

async function spanOf(source, query, signal) {
  const { data: [bucket] } = await source.summarize(query, signal);
  if (bucket === undefined) return null;
  const [last] = await source.read({ limit: 1 }, signal);
  return { count: bucket.count, from: query.from, to: Math.min(LAST_MS, Math.ceil(last.time / 1_000)) };
}

/** The line below a chart that offers to show and delete them. */
export class Strays {
  #found = [];
  #source = null;
  #isSure = false;
  #show;
  #deleted;
  #failed;

  /**
   * @param show called with from, to (ms) of what somebody wants to see.
   * @param deleted called when they are gone.
   * @param failed called with the error where they are not.
   */
  constructor(show, deleted, failed) {
    [this.#show, this.#deleted, this.#failed] = [show, deleted, failed];
    byId("strays-show").addEventListener("click", () => this.#show(this.#found[0].from, this.#found[0].to));
    byId("strays-delete").addEventListener("click", () => this.#delete());
  }

  /** Offer what `straysOf` has found in a source; null for nothing. */
  offer(source, strays) {
    this.#source = source;
    this.#found = [strays?.future, strays?.past].filter(Boolean);
    this.#isSure = false;
    byId("strays").hidden = this.#found.length === 0;
    if (this.#found.length === 0) return;
    const [{ count, from, to }] = this.#found;
    const points = count === 1 ? "One point is" : `${count} points are`;
    const when = this.#found[0] === strays.future ? `of the future, up to ${stamp(to)}` : `of long ago, from ${stamp(from)}`;
    setText(byId("strays-text"), `${points} ${when}: a clock was wrong.`);
    byId("strays-delete").hidden = (source.api.permissions & ADMIN) === 0;
    this.#say();
  }

  #say() {
    setText(byId("strays-delete"), this.#isSure ? `Delete for good: ${this.#found[0].count}` : "Delete …");
  }

  async #delete() {
    if (!this.#isSure) {
      this.#isSure = true;
      return this.#say();
    }
    const source = this.#source;
    const [{ from, to }] = this.#found;
    try {
      await source.remove({ from, to });
      if (this.#source === source) this.#deleted();
    } catch (error) {
      this.#failed(error);
    }
  }
}
