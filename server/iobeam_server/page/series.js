// The series of the chosen device, with their newest values.

import { byId, setText } from "./dom.js";
import { age, brief, value } from "./format.js";
import { latestOf, newest } from "./latest.js";
import { Listbox } from "./listbox.js";
import { poll } from "./poll.js";

const EVERY_MS = 5_000;

export class SeriesList {
  #api;
  #choose;
  #list;
  #latest = [];
  #end = () => {};

  /** @param choose called with the name of a series, and true if a person has picked it. */
  constructor(choose) {
    this.#choose = choose;
    this.#list = new Listbox(byId("series"), (name) => this.pick(name, true));
  }

  /**
   * @param wanted the series to begin with, or null for the first.
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
      if (this.#list.chosen === null && latest.length > 0) {
        const found = latest.find(({ name }) => name === wanted) ?? latest[0];
        this.pick(found.name, false);
      }
    };
    this.#end = poll(round, EVERY_MS, reporter);
  }

  close() {
    this.#end();
    this.#latest = [];
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
    })));
  }

  pick(name, isByHand) {
    this.#list.chosen = name;
    this.#choose(name, isByHand);
  }
}
