// The list of devices: the silent ones first, then by when each has last sent.

import { byId, setText } from "./dom.js";
import { age } from "./format.js";
import { Listbox } from "./listbox.js";
import { poll } from "./poll.js";

const SHOWN = 50; // at once, of perhaps ten thousand
const EVERY_MS = 30_000;
const TYPING_MS = 300; // without a key, after which what was typed is looked for

export class Devices {
  #api;
  #choose;
  #list;
  #reporter;
  #offset = 0;
  #shown = [];
  #sent = new Map(); // device id -> ms, where somebody else has seen a newer point
  #typing;
  #end = () => {};

  /** @param choose called with a device `{device_id, device_name?}`, and true if a person has picked it. */
  constructor(choose) {
    this.#choose = choose;
    this.#list = new Listbox(byId("devices"), (id) => this.#pick(id, true));
    byId("previous").addEventListener("click", () => this.#turn(this.#offset - SHOWN));
    byId("next").addEventListener("click", () => this.#turn(this.#offset + SHOWN));
    byId("find").addEventListener("input", () => {
      clearTimeout(this.#typing);
      setText(byId("find-error"), "");
      this.#typing = setTimeout(() => this.#turn(0), TYPING_MS);
    });
    byId("find-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#open(this.#wanted);
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
    clearTimeout(this.#typing);
    this.#api = null;
    this.#offset = 0;
    this.#shown = [];
    this.#sent.clear();
    this.#list.chosen = null;
    this.#list.show([]);
    for (const id of ["pages", "devices-empty", "silent"]) byId(id).hidden = true;
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

  get #wanted() {
    return byId("find").value.trim();
  }

  #item({ device_id: id, device_name: name, device_type: type, last, silent }) {
    const sent = Math.max(last ?? -Infinity, this.#sent.get(id) ?? -Infinity);
    const isSilent = silent && Math.floor(sent) <= last; // until it is heard again
    const label = name || id;
    return {
      key: id,
      name: label,
      value: isSilent ? "silent" : "",
      note: [
        label === id ? "" : id,
        type ?? "",
        sent === -Infinity ? "nothing sent yet" : age(sent, this.#api.now()),
      ].filter(Boolean).join(" · "),
      isAlarming: isSilent,
    };
  }

  #turn(offset) {
    if (this.#api === null) return;
    this.#end();
    this.#offset = Math.max(0, offset);
    this.#end = poll((signal) => this.#round(signal), EVERY_MS, this.#reporter);
  }

  async #round(signal) {
    const api = this.#api;
    const find = this.#wanted;
    const { devices, total, silent } = await ask(api, { offset: this.#offset, count: SHOWN, find: find || null }, signal);
    signal.throwIfAborted();
    this.#shown = devices;
    this.#describe(total, silent, find);
    this.render();
    if (this.#list.chosen === null && devices.length > 0) {
      const first = devices.find((device) => !device.silent) ?? devices[0];
      this.#pick(first.device_id, false);
    }
  }

  #describe(total, silent, find) {
    byId("devices-empty").hidden = total > 0;
    setText(byId("devices-empty"), find ? "Nothing has that in its id, name, type or series." : "No device is registered in this project.");
    byId("silent").hidden = silent === 0;
    setText(byId("silent"), silent === 1 ? "One device has fallen silent." : `${silent} devices have fallen silent.`);
    byId("pages").hidden = this.#offset === 0 && total <= SHOWN;
    byId("previous").disabled = this.#offset === 0;
    byId("next").disabled = this.#offset + SHOWN >= total;
    const last = Math.min(total, this.#offset + SHOWN);
    setText(byId("page-number"), last > this.#offset ? `${this.#offset + 1} to ${last} of ${total}` : "none");
  }

  #pick(id, isByHand) {
    this.#list.chosen = id;
    this.#choose(this.#shown.find((device) => device.device_id === id) ?? { device_id: id }, isByHand);
  }

  /** Open the device of an id or a name, else the first that has the text anywhere. */
  async #open(text) {
    const api = this.#api;
    const say = (message) => this.#api === api && setText(byId("find-error"), message);
    if (!text) return say("Type a part of an id, a name or a series.");
    say("");
    try {
      const { devices } = await ask(api, { find: text }, new AbortController().signal);
      if (this.#api !== api) return; // signed out meanwhile
      const device = devices.find((one) => one.device_id === text) ?? devices.find((one) => one.device_name === text) ?? devices[0];
      if (device === undefined) return say("There is no such device.");
      this.#list.chosen = device.device_id;
      this.#choose(device, true);
    } catch (error) {
      say(error.message);
    }
  }
}

const ask = (api, query, signal) => api.json(api.pathOf("activity"), query, signal);
