// The page: signed out or signed in, and who tells whom.

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

const signIn = new SignIn(enter);
const devices = new Devices(openDevice);
const series = new SeriesList((name) => {
  plot.open(new Source(session.api, device.device_id, name), reporter("points"));
});
const plot = new Plot();

function enter(text, claims, api) {
  token.store(text);
  session = { api, claims };
  signIn.close();
  setText(byId("project"), `Project ${claims.pid}${claims.did ? `, device ${claims.did}` : ""}`);
  for (const id of ["project", "sign-out", "view"]) byId(id).hidden = false;
  devices.open(api, reporter("devices"));
  byId("devices-title").focus(); // the form that had the focus is gone
}

function leave(message) {
  token.forget();
  session = null;
  device = null;
  plot.close();
  series.close();
  devices.close();
  connection.clear();
  setText(byId("notice"), "");
  setText(byId("project"), "");
  for (const id of ["project", "sign-out", "view"]) byId(id).hidden = true;
  signIn.open(message);
}

function openDevice(chosen) {
  device = chosen;
  plot.close();
  series.open(session.api, chosen, reporter("series"), (timeMs) => devices.note(chosen.device_id, timeMs));
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
