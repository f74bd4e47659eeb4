// The form that takes a token.

import { Api } from "./api.js";
import { byId, setText } from "./dom.js";
import { BadToken, clean, readClaims } from "./token.js";

export class SignIn {
  #enter;
  #isBusy = false;

  /** @param enter called with token, claims and api once the server has accepted the token. */
  constructor(enter) {
    this.#enter = enter;
    byId("sign-in-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** Show the form, with a reason where there is one. */
  open(message = "") {
    byId("sign-in").hidden = false;
    this.#say(message);
    byId("token").focus();
  }

  close() {
    byId("sign-in").hidden = true;
    byId("token").value = "";
    this.#say("");
  }

  #say(message) {
    setText(byId("token-error"), message);
    byId("token").setAttribute("aria-invalid", String(message !== ""));
  }

  async #submit() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#say("");
    setText(byId("sign-in-button"), "Signing in …");
    try {
      await this.#try(clean(byId("token").value));
    } finally {
      this.#isBusy = false;
      setText(byId("sign-in-button"), "Sign in");
    }
  }

  async #try(token) {
    let api;
    let claims;
    try {
      if (!token) throw new BadToken("Paste a project token.");
      claims = readClaims(token);
      api = new Api(token, claims.pid, claims.pms);
      await api.json("/v1/devices", { project_id: claims.pid, count: 1 }, new AbortController().signal);
    } catch (error) {
      this.#say(explain(error, claims, api));
      byId("token").focus();
      return;
    }
    this.#enter(token, claims, api);
  }
}

/** Say in a sentence why there is no access. */
export function explain(error, claims, api) {
  if (error.status === 403) return `Not permitted: ${error.message}.`;
  if (error.status !== 401) return error.message;
  if (claims.exp * 1_000 <= api.now()) return "This token has expired. Sign in with a new one.";
  return `The server does not accept this token: ${error.message}.`;
}
