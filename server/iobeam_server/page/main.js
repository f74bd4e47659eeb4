// The page: signed out or signed in, and who tells whom.

import { Address } from "./address.js";
import { Api } from "./api.js";
import * as connection from "./connection.js";
import { Devices } from "./devices.js";
import { byId, setText } from "./dom.js";
import { isUtc, useUtc } from "./format.js";
import { Lines, MOST } from "./lines.js";
import { Plot } from "./plot.js";
import { Source } from "./points.js";
import { SeriesList } from "./series.js";
import { SignIn, explain } from "./signin.js";
import * as token from "./token.js";

const AGES_MS = 5_000; // how often "12 seconds ago" is written anew

let session = null; // {api, claims} while signed in
let device = null;
let wanted = null; // the series that an address asks for
const lines = new Lines();

const signIn = new SignIn(enter);
const devices = new Devices(openDevice);
const series = new SeriesList(openSeries);
const plot = new Plot(() => show(true), removeLine);
const address = new Address(go);

function enter(text, claims, api) {
  token.store(text);
  session = { api, claims };
  signIn.close();
  setText(byId("project"), `Project ${claims.pid}${claims.did ? `, device ${claims.did}` : ""}`);
  for (const id of ["project", "sign-out", "view"]) byId(id).hidden = false;
  const { view } = address;
  take(view);
  devices.open(api, view.device, reporter("devices"));
  byId("devices-title").focus(); // the form that had the focus is gone
}

function leave(message) {
  token.forget();
  session = null;
  device = wanted = null;
  lines.clear();
  plot.close();
  series.close();
  devices.close();
  connection.clear();
  setText(byId("notice"), "");
  setText(byId("project"), "");
  byId("add").checked = false;
  for (const id of ["project", "sign-out", "view"]) byId(id).hidden = true;
  if (!message) address.show({ device: null }, false); // who signs out leaves nothing behind
  signIn.open(message);
}

/** Take over range, zone and lines of a view; what it is of follows when its series are read. */
function take({ range, series: name, device: id, more, isUtc: isWanted }) {
  useUtc(isWanted);
  byId("utc").checked = isWanted;
  plot.range = range;
  wanted = name;
  lines.clear();
  if (name !== null && more.length > 0) for (const line of [{ deviceId: id, name }, ...more]) lines.add(line.deviceId, line.name);
}

function openDevice(chosen, isByHand) {
  device = chosen;
  const isKept = byId("add").checked && lines.all.length > 0;
  if (isByHand) {
    wanted = null;
    if (!isKept) lines.clear();
  }
  if (lines.all.length === 0) plot.close();
  show(isByHand);
  const sent = (timeMs) => devices.note(chosen.device_id, timeMs);
  const isFirst = isByHand ? !isKept : true;
  series.open(session.api, chosen, isFirst ? wanted : undefined, reporter, sent);
  mark();
}

/** Show a series: alone, or beside what is shown, as a person says by a key or the box. */
function openSeries(name, isByHand, isAdded) {
  const id = device.device_id;
  if (isByHand) setText(byId("notice"), "");
  if (isByHand && (isAdded || byId("add").checked)) {
    if (lines.has(id, name) && lines.all.length > 1) lines.remove(id, name);
    else if (!lines.add(id, name)) setText(byId("notice"), `A chart holds ${MOST} series; remove one first.`);
  } else if (isByHand || !lines.has(id, name)) lines.set(id, name);
  draw(isByHand);
}

function removeLine({ deviceId, name }) {
  lines.remove(deviceId, name);
  setText(byId("notice"), "");
  draw(true);
}

function mark() {
  series.marked = lines.all.filter(({ deviceId }) => deviceId === device.device_id);
}

function draw(isByHand) {
  mark();
  show(isByHand);
  plot.open(lines.all, ({ deviceId, name }) => new Source(session.api, deviceId, name), reporter("points"));
}

/** Put what is looked at into the address. */
function show(isStep) {
  if (device === null) return;
  const [first, ...more] = lines.all;
  const view = first ? { device: first.deviceId, series: first.name, more } : { device: device.device_id, series: wanted };
  address.show({ ...view, range: plot.range, isUtc: isUtc() }, isStep);
}

/** Look at what an address says. */
function go(view) {
  if (session === null) return;
  take(view);
  if (view.device !== null) devices.show(view.device);
}

function reporter(name) {
  return connection.reporter(name, (error) => {
    if (session === null) return;
    const reason = explain(error, session.claims, session.api);
    if (error.status === 401) leave(reason);
    else setText(byId("notice"), reason);
  });
}

function start() {
  const text = token.stored();
  if (text === null) return signIn.open();
  try {
    const claims = token.readClaims(text);
    // not asked about first: if the backend is away, the page waits for it
    return enter(text, claims, new Api(text, claims.pid, claims.pms));
  } catch (error) {
    return leave(error.message);
  }
}

byId("sign-out").addEventListener("click", () => leave(""));
byId("utc").addEventListener("change", () => {
  useUtc(byId("utc").checked);
  plot.rewrite();
  show(true);
});
setInterval(() => {
  if (session === null || document.hidden) return;
  devices.render();
  series.render();
}, AGES_MS);
start();
