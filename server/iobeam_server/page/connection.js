// The line that says whether the backend is there.

import { byId, setText } from "./dom.js";

const BACK_MS = 5_000;
const lost = new Map(); // name of the work -> its last error
let timer;

function show() {
  clearTimeout(timer);
  const [error] = lost.values();
  if (error) setText(byId("connection"), `${error.message} Trying again …`);
}

function recovered() {
  if (lost.size > 0 || !byId("connection").textContent) return;
  setText(byId("connection"), "The backend is back.");
  timer = setTimeout(clear, BACK_MS);
}

/** Empty the line. */
export function clear() {
  clearTimeout(timer);
  lost.clear();
  setText(byId("connection"), "");
}

/** Return the reports of one piece of repeated work; `refused` says what to do about a refusal. */
export function reporter(name, refused) {
  return {
    refused,
    ok: () => lost.delete(name) && recovered(),
    lost: (error) => {
      lost.set(name, error);
      show();
    },
    // work that was ended while the backend was away must not keep the line up for ever
    ended: () => lost.delete(name) && lost.size === 0 && clear(),
  };
}
