// A list to choose from: one stop of the Tab key, arrows within (the ARIA listbox pattern).

import { make } from "./dom.js";
import { makeSpark, showSpark } from "./spark.js";

const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity };

export class Listbox {
  #element;
  #choose;
  #options = new Map(); // key -> its element
  #chosen = null;

  /** @param choose called with the key that a person picked. */
  constructor(element, choose) {
    this.#element = element;
    this.#choose = choose;
    element.addEventListener("click", (event) => this.#pick(event.target.closest("[role=option]")));
    element.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /**
   * Show items `{key, name, value, note, whole, isAlarming, spark}` in this order.
   *
   * Whole is the value in full, spark a small chart of `sparksOf`.
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
      option.setAttribute("aria-selected", String(key === this.#chosen));
      option.tabIndex = option === stop ? 0 : -1;
    }
  }

  #onKey(event) {
    const all = [...this.#element.children];
    const at = all.indexOf(event.target.closest("[role=option]"));
    if (at < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") this.#pick(all[at]);
    else if (event.key in STEPS) {
      const next = all[Math.max(0, Math.min(all.length - 1, at + STEPS[event.key]))];
      for (const option of all) option.tabIndex = option === next ? 0 : -1;
      next.focus();
    } else return;
    event.preventDefault(); // else the list would scroll as well
  }

  #pick(option) {
    for (const [key, known] of this.#options) if (known === option) this.#choose(key);
  }
}

function fill(option, { name, value, note, whole = value, isAlarming = false, spark }) {
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
