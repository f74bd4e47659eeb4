// The form that says which time is looked at.

import { byId, setText } from "./dom.js";
import { fieldOf, timeOf } from "./format.js";

export const AHEAD_MS = 5_000; // as much as the clocks of devices may well be ahead of the server's

export class Range {
  #before = []; // what was chosen when parts of the chart were drawn over
  #from = null; // ms, of a custom range
  #to = null;
  #changed;

  /** @param changed called when another range has been chosen. */
  constructor(changed) {
    this.#changed = changed;
    byId("range").addEventListener("change", () => this.#onChoice());
    byId("range-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#kind === "custom") this.#onCustom();
    });
  }

  /** Return `{from, to}` in ms; null means open. A range that ends now follows the clock. */
  bounds(nowMs) {
    if (this.#kind === "all") return { from: null, to: null };
    if (this.#kind === "custom") return { from: this.#from, to: this.#to };
    // up to now: a point that is days ahead would stretch the range, and nothing be newer than it
    return { from: Math.floor(nowMs) - Number(this.#kind) * 1_000, to: Math.floor(nowMs) + AHEAD_MS };
  }

  /** Choose a custom range (ms), as when one was drawn on the chart. */
  set(from, to) {
    this.#before.push(this.state);
    this.#from = Math.floor(from);
    this.#to = Math.ceil(to);
    byId("range").value = "custom";
    this.#show();
    this.#changed();
  }

  /** Write its times anew, as when the zone has changed. */
  rewrite() {
    this.#show();
  }

  /** Whether `undo` has anything to go back to. */
  get canUndo() {
    return this.#before.length > 0;
  }

  /** Go back to the range before the last `set`. */
  undo() {
    if (this.#before.length === 0) return;
    this.#choose(this.#before.pop());
    this.#changed();
  }

  /** What is chosen, as `{kind, from, to}` (ms; null but of a custom range). */
  get state() {
    const isCustom = this.#kind === "custom";
    return { kind: this.#kind, from: isCustom ? this.#from : null, to: isCustom ? this.#to : null };
  }

  /** Choose what `state` was; null or a kind that there is not: the last hour. Nobody is told. */
  restore(state) {
    this.#before = [];
    this.#choose(state);
  }

  #choose(state) {
    const select = byId("range");
    select.value = state?.kind ?? "3600";
    if (select.selectedIndex < 0) select.value = "3600";
    [this.#from, this.#to] = this.#kind === "custom" ? [state.from, state.to] : [null, null];
    this.#show();
  }

  get #kind() {
    return byId("range").value;
  }

  #onChoice() {
    this.#before = [];
    if (this.#kind === "custom" && this.#from === null) {
      // something to start from: the last hour until now
      this.#from = Math.floor(Date.now() / 60_000) * 60_000 - 3_600_000;
    }
    this.#show();
    this.#changed();
    if (this.#kind === "custom") byId("from").focus();
  }

  #onCustom() {
    const from = byId("from").valueAsNumber;
    const [start, end] = ["from", "to"].map((id) => (byId(id).value ? timeOf(byId(id).value) : null));
    const isWrong = Number.isNaN(from) || byId("to").validity.badInput || (end !== null && end <= start);
    byId("from").setAttribute("aria-invalid", String(Number.isNaN(from)));
    byId("to").setAttribute("aria-invalid", String(isWrong && !Number.isNaN(from)));
    if (isWrong) {
      setText(byId("range-error"), Number.isNaN(from) ? "From is missing." : "To must be a time after From.");
      byId(Number.isNaN(from) ? "from" : "to").focus();
      return;
    }
    this.#from = start;
    this.#to = end === null ? null : end + 999; // a field has whole seconds; its last one counts
    setText(byId("range-error"), "");
    this.#changed();
  }

  #show() {
    const isCustom = this.#kind === "custom";
    byId("custom").hidden = !isCustom;
    setText(byId("range-error"), "");
    for (const id of ["from", "to"]) byId(id).removeAttribute("aria-invalid");
    if (!isCustom) return;
    byId("from").value = fieldOf(this.#from) ?? "";
    byId("to").value = this.#to === null ? "" : fieldOf(this.#to) ?? "";
  }
}
