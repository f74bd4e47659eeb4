// The page: signed out or signed in, and who tells whom.

import { Address } from "./address.js";
import { Api } from "./api.js";
import * as connection from "./connection.js";
import { Devices } from "./devices.js";
import { byId, setText } from "./dom.js";
import { Plot } from "./plot.js";
import { Source } from "./points.js";
import { SeriesList } from "./series.js";
import { SignIn, explain } from "./signin.js";
import * as token from "./token.js";

const AGES_MS = 5_000; // how often "12 seconds ago" is written anew

let session = null; // {api, claims} while signed in
let device = null;
let name = null; // of the series
let wanted = null; // the series that an address asks for

const signIn = new SignIn(enter);
const devices = new Devices(openDevice);
const series = new SeriesList(openSeries);
const plot = new Plot(() => show(true));
const address = new Address(go);

function enter(text, claims, api) {
  token.store(text);
  session = { api, claims };
  signIn.close();
  setText(byId("project"), `Project ${claims.pid}${claims.did ? `, device ${claims.did}` : ""}`);
  for (const id of ["project", "sign-out", "view"]) byId(id).hidden = false;
  const view = address.view;
  plot.range = view.range;
  wanted = view.series;
  devices.open(api, view.device, reporter("devices"));
  byId("devices-title").focus(); // the form that had the focus is gone
}

function leave(message) {
  token.forget();
  session = null;
  device = name = wanted = null;
  plot.close();
  series.close();
  devices.close();
  connection.clear();
  setText(byId("notice"), "");
  setText(byId("project"), "");
  for (const id of ["project", "sign-out", "view"]) byId(id).hidden = true;
  if (!message) address.show({ device: null }, false); // who signs out leaves nothing behind
  signIn.open(message);
}

function openDevice(chosen, isByHand) {
  device = chosen;
  name = null;
  plot.close();
  if (isByHand) wanted = null;
  show(isByHand);
  const sent = (timeMs) => devices.note(chosen.device_id, timeMs);
  series.open(session.api, chosen, wanted, reporter, sent);
}

function openSeries(chosen, isByHand) {
  name = chosen;
  show(isByHand);
  plot.open(new Source(session.api, device.device_id, name), reporter("points"));
}

/** Put what is looked at into the address. */
function show(isStep) {
  if (device !== null) address.show({ device: device.device_id, series: name ?? wanted, range: plot.range }, isStep);
}

/** Look at what an address says. */
function go(view) {
  if (session === null) return;
  plot.range = view.range;
  wanted = view.series;
  if (view.device !== null && view.device !== device?.device_id) devices.show(view.device);
  else if (view.series !== null && view.series !== name && name !== null) series.pick(view.series, false);
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
    return enter(text, claims, new Api(text, claims.pid));
  } catch (error) {
    return leave(error.message);
  }
}

byId("sign-out").addEventListener("click", () => leave(""));
setInterval(() => {
  if (session === null || document.hidden) return;
  devices.render();
  series.render();
}, AGES_MS);
start();
