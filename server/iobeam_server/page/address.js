// The view in the address: it can be reloaded, kept, shared and gone back to. Never the token.

const KINDS = /^(all|[1-9]\d{1,8})$/;

/**
 * Write `{device, series, more, range, isUtc}` as a fragment; "" for none.
 *
 * The range is `{kind, from, to}`, more are further series `{deviceId, name}` in the same chart.
 */
export function encode({ device, series, more = [], range, isUtc = false }) {
  const said = new URLSearchParams();
  if (device) said.set("device", device);
  if (device && series !== null) said.set("series", series);
  for (const { deviceId, name } of more) said.append("and", [deviceId, name].map(encodeURIComponent).join("/"));
  if (range?.kind === "custom") {
    said.set("from", range.from);
    if (range.to !== null) said.set("to", range.to);
  } else if (range) said.set("last", range.kind);
  if (isUtc) said.set("zone", "utc");
  return device ? `#${said}` : "";
}

/** Read a fragment; what it does not say, or says wrongly, is null. */
export function decode(fragment) {
  const said = new URLSearchParams(fragment.replace(/^#/, ""));
  const [from, to] = ["from", "to"].map((name) => timeOf(said.get(name)));
  const last = said.get("last");
  let range = null;
  if (from !== null && (to === null ? !said.has("to") : to > from)) range = { kind: "custom", from, to };
  else if (last !== null && KINDS.test(last)) range = { kind: last, from: null, to: null };
  const more = said.getAll("and").map(lineOf).filter((line) => line !== null);
  return { device: said.get("device") || null, series: said.get("series"), more, range, isUtc: said.get("zone") === "utc" };
}

function lineOf(text) {
  try {
    const [deviceId, name, ...rest] = text.split("/").map(decodeURIComponent);
    return deviceId && name && rest.length === 0 ? { deviceId, name } : null;
  } catch {
    return null; // an escape that is none
  }
}

const LAST_MS = 8.64e15; // beyond that there is no Date

function timeOf(text) {
  const ms = text !== null && /^-?\d{1,16}$/.test(text) ? Number(text) : null;
  return ms !== null && Math.abs(ms) <= LAST_MS ? ms : null;
}

export class Address {
  /** @param go called with a view that was gone back to, or typed. */
  constructor(go) {
    window.addEventListener("popstate", () => go(this.view));
  }

  get view() {
    return decode(location.hash);
  }

  /** Show a view; as a step that Back undoes where a person has chosen it. */
  show(view, isStep) {
    const hash = encode(view);
    if (hash === location.hash) return;
    const url = location.pathname + location.search + hash;
    if (isStep) history.pushState(null, "", url);
    else history.replaceState(null, "", url);
  }
}
