// The list of devices, with when each last sent.

import { byId, setText } from "./dom.js";
import { Refused } from "./api.js";
import { age } from "./format.js";
import { latestOf, newest } from "./latest.js";
import { Listbox } from "./listbox.js";
import { poll } from "./poll.js";

// What bounds the work with ten thousand devices: only those of the page shown are asked
// about, a few at a time.
const SHOWN = 50;
const AT_ONCE = 4;
const EVERY_MS = 30_000;

export class Devices {
  #api;
  #choose;
  #list;
  #reporter;
  #offset = 0;
  #shown = [];
  #sent = new Map(); // device id -> ms, or null for nothing yet
  #end = () => {};

  /** @param choose called with a device `{device_id, device_name?}`, and true if a person has picked it. */
  constructor(choose) {
    this.#choose = choose;
    this.#list = new Listbox(byId("devices"), (id) => this.#pick(id, true));
    byId("previous").addEventListener("click", () => this.#turn(-SHOWN));
    byId("next").addEventListener("click", () => this.#turn(SHOWN));
    byId("find-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#find(byId("find").value.trim());
    });
  }

  /** @param wanted the id of the device to begin with, or null for the first. */
  open(api, wanted, reporter) {
    this.#api = api;
    this.#reporter = reporter;
    if (wanted !== null) this.show(wanted);
    this.#turn(0);
  }

  /** Choose a device by its id, as an address does. */
  show(id) {
    this.#pick(id, false);
  }

  close() {
    this.#end();
    this.#api = null;
    this.#offset = 0;
    this.#shown = [];
    this.#sent.clear();
    this.#list.chosen = null;
    this.#list.show([]);
    byId("pages").hidden = true;
    byId("devices-empty").hidden = true;
    byId("find").value = "";
    setText(byId("find-error"), "");
  }

  /** Note when a device last sent, which somebody else found out. */
  note(deviceId, timeMs) {
    this.#sent.set(deviceId, timeMs);
    this.render();
  }

  /** Show the list again: ages grow. */
  render() {
    this.#list.show(this.#shown.map((device) => this.#item(device)));
  }

  #item({ device_id: id, device_name: name, device_type: type }) {
    const sent = this.#sent.get(id);
    const label = name || id;
    return {
      key: id,
      name: label,
      value: "",
      note: [
        label === id ? "" : id,
        type ?? "",
        sent === undefined ? "…" : sent === null ? "nothing sent yet" : age(sent, this.#api.now()),
      ].filter(Boolean).join(" · "),
    };
  }

  #turn(by) {
    this.#end();
    this.#offset = Math.max(0, this.#offset + by);
    this.#end = poll((signal) => this.#round(signal), EVERY_MS, this.#reporter);
  }

  async #round(signal) {
    const api = this.#api;
    // one more than is shown tells whether there is a next page
    const query = { project_id: api.projectId, offset: this.#offset, count: SHOWN + 1 };
    const { devices } = await api.json("/v1/devices", query, signal);
    signal.throwIfAborted();
    this.#shown = devices.slice(0, SHOWN);
    this.#showPages(devices.length > SHOWN);
    this.render();
    if (this.#list.chosen === null && this.#shown.length > 0) this.#pick(this.#shown[0].device_id, false);
    const left = [...this.#shown];
    const ask = async () => {
      for (let device = left.shift(); device; device = left.shift()) {
        const latest = await latestOf(api, device.device_id, signal);
        signal.throwIfAborted();
        this.note(device.device_id, newest(latest));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, ask));
  }

  #showPages(hasMore) {
    byId("devices-empty").hidden = this.#shown.length > 0 || this.#offset > 0;
    byId("pages").hidden = this.#offset === 0 && !hasMore;
    byId("previous").disabled = this.#offset === 0;
    byId("next").disabled = !hasMore;
    const first = this.#offset + 1;
    setText(byId("page-number"), this.#shown.length ? `${first} to ${this.#offset + this.#shown.length}` : "none");
  }

  #pick(id, isByHand) {
    this.#list.chosen = id;
    this.#choose(this.#shown.find((device) => device.device_id === id) ?? { device_id: id }, isByHand);
  }

  /** Open a device of another page, or one that is not registered (any more) but has data. */
  async #find(text) {
    const api = this.#api;
    const say = (message) => this.#api === api && setText(byId("find-error"), message);
    if (!text) return say("Type the id or the name of a device.");
    say("");
    try {
      const device = await lookUp(api, text);
      if (this.#api !== api) return; // signed out meanwhile
      if (device === null) return say("There is no such device.");
      this.#list.chosen = device.device_id;
      this.#choose(device, true);
    } catch (error) {
      say(error.message);
    }
  }
}

async function lookUp(api, text) {
  const { signal } = new AbortController();
  const isId = /^[\w:-]+$/.test(text) && !["all", "timestamp"].includes(text.toLowerCase());
  const ways = [() => api.json("/v1/devices", { name: text }, signal)];
  if (isId) ways.unshift(() => api.json(`/v1/devices/${text}`, {}, signal));
  for (const way of ways) {
    try {
      return await way();
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 404) throw error;
    }
  }
  return isId && (await latestOf(api, text, signal)).length > 0 ? { device_id: text } : null;
}
