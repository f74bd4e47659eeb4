// A list to choose from: one stop of the Tab key, arrows within (the ARIA listbox pattern).

import { make } from "./dom.js";
import { MOST } from "./lines.js";
import { makeSpark, showSpark } from "./spark.js";

const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity };

export class Listbox {
  #element;
  #choose;
  #options = new Map(); // key -> its element
  #chosen = null;
  #marked = null; // keys of those that are shown; null: the chosen one

  /** @param choose called with the key that a person picked, and true if it was meant as one more. */
  constructor(element, choose) {
    this.#element = element;
    this.#choose = choose;
    element.addEventListener("click", (event) => this.#pick(event.target.closest("[role=option]"), isMore(event)));
    element.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /**
   * Show items `{key, name, value, note, whole, isAlarming, spark, colour}` in this order.
   *
   * Whole is the value in full, spark a small chart of `sparksOf`, colour that of its line.
   *
   * Elements of keys that stay are kept, with their focus: lists are shown anew
   * every few seconds, while somebody walks through them.
   */
  show(items) {
    const before = this.#options;
    this.#options = new Map();
    let place = this.#element.firstElementChild;
    for (const item of items) {
      const option = before.get(item.key) ?? this.#make();
      before.delete(item.key);
      fill(option, item);
      if (option === place) place = place.nextElementSibling;
      else this.#element.insertBefore(option, place);
      this.#options.set(item.key, option);
    }
    for (const option of before.values()) option.remove();
    this.#mark();
  }

  /** Mark several as selected, in a list in which several can be. */
  set marked(keys) {
    this.#marked = new Set(keys);
    this.#mark();
  }

  /** Mark one as chosen, or none (null). */
  set chosen(key) {
    this.#chosen = key;
    this.#mark();
  }

  get chosen() {
    return this.#chosen;
  }

  #make() {
    const option = make("li", "", { role: "option", tabindex: "-1" });
    option.append(make("bdi"), make("span", "", { class: "value" }), make("small"), makeSpark());
    return option;
  }

  #mark() {
    const stop = this.#options.get(this.#chosen) ?? this.#element.firstElementChild;
    for (const [key, option] of this.#options) {
      option.setAttribute("aria-selected", String(this.#marked?.has(key) ?? key === this.#chosen));
      option.tabIndex = option === stop ? 0 : -1;
    }
  }

  #onKey(event) {
    const all = [...this.#element.children];
    const at = all.indexOf(event.target.closest("[role=option]"));
    const isPick = event.key === "Enter" || event.key === " ";
    if (at < 0 || event.altKey || (!isPick && isMore(event))) return;
    if (isPick) this.#pick(all[at], isMore(event));
    else if (event.key in STEPS) {
      const next = all[Math.max(0, Math.min(all.length - 1, at + STEPS[event.key]))];
      for (const option of all) option.tabIndex = option === next ? 0 : -1;
      next.focus();
    } else return;
    event.preventDefault(); // else the list would scroll as well
  }

  #pick(option, isAdded) {
    for (const [key, known] of this.#options) if (known === option) this.#choose(key, isAdded);
  }
}

/** Whether a click or a key is meant as one more, as in lists of files. */
const isMore = (event) => event.ctrlKey || event.metaKey;

function fill(option, { name, value, note, whole = value, isAlarming = false, spark, colour }) {
  for (let i = 0; i < MOST; i++) option.classList.toggle(`line-${i}`, i === colour);
  showSpark(option.lastElementChild, spark);
  option.classList.toggle("alarming", isAlarming);
  const [first, second, third] = option.children;
  const texts = [[first, name], [second, value], [third, note]];
  for (const [element, text] of texts) {
    if (element.textContent !== text) element.textContent = text;
    element.hidden = text === "";
  }
  option.title = [name, whole, note].filter(Boolean).join(" · "); // long ones are cut short on screen
}
