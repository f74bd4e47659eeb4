// The series of the chosen device, with their newest values.

import { byId, setText } from "./dom.js";
import { age, brief, value } from "./format.js";
import { latestOf, newest } from "./latest.js";
import { Listbox } from "./listbox.js";
import { poll } from "./poll.js";
import { sparksOf } from "./spark.js";

const EVERY_MS = 5_000;
const SPARKS_MS = 60_000; // a day changes slowly

export class SeriesList {
  #api;
  #choose;
  #list;
  #latest = [];
  #sparks = new Map();
  #ends = [];

  #marked = [];

  /**
   * @param choose called with the name of a series, true if a person has picked it, and true if
   *   that was meant as one more.
   */
  constructor(choose) {
    this.#choose = choose;
    this.#list = new Listbox(byId("series"), (name, isAdded) => this.#pick(name, true, isAdded));
  }

  /** Mark the series of this device that are shown, `{name, colour}`. */
  set marked(lines) {
    this.#marked = lines;
    this.#list.marked = lines.map(({ name }) => name);
    this.render();
  }

  /**
   * @param wanted the series to begin with, null for the first, undefined for none.
   * @param reporter makes the reports of a poll of that name.
   * @param sent called with the time (ms or null) of the device's newest point.
   */
  open(api, device, wanted, reporter, sent) {
    this.close();
    this.#api = api;
    setText(byId("series-device"), device.device_name ?? device.device_id);
    const round = async (signal) => {
      const latest = await latestOf(api, device.device_id, signal);
      signal.throwIfAborted();
      this.#latest = latest;
      byId("series-empty").hidden = latest.length > 0;
      this.render();
      sent(newest(latest));
      if (wanted !== undefined && this.#list.chosen === null && latest.length > 0) {
        const found = latest.find(({ name }) => name === wanted) ?? latest[0];
        this.#pick(found.name, false);
      }
    };
    const draw = async (signal) => {
      const sparks = await sparksOf(api, device.device_id, signal);
      signal.throwIfAborted();
      this.#sparks = sparks;
      this.render();
    };
    this.#ends = [poll(round, EVERY_MS, reporter("series")), poll(draw, SPARKS_MS, reporter("sparks"))];
  }

  close() {
    for (const end of this.#ends) end();
    this.#ends = [];
    this.#latest = [];
    this.#marked = [];
    this.#list.marked = [];
    this.#sparks = new Map();
    this.#list.chosen = null;
    this.#list.show([]);
    setText(byId("series-device"), "");
    byId("series-empty").hidden = true;
  }

  /** Show the list again: ages grow. */
  render() {
    this.#list.show(this.#latest.map(({ name, time, value: newestValue }) => ({
      key: name,
      name,
      value: brief(newestValue),
      whole: value(newestValue),
      note: age(time / 1_000, this.#api.now()),
      spark: this.#sparks.get(name),
      colour: this.#marked.find((line) => line.name === name)?.colour,
    })));
  }

  #pick(name, isByHand, isAdded = false) {
    this.#list.chosen = name;
    this.#choose(name, isByHand, isAdded);
  }
}
