// The project token: read, and kept for as long as this tab lives.

const KEY = "iobeam-token";
const SHAPE = /^[\w=+/-]+\.[\w=+/-]+\.[\w=+/-]+$/;

/** A text that is no project token. */
export class BadToken extends Error {}

/** Return a token as pasted, without what stands around it. */
export const clean = (text) => text.trim().replace(/^Bearer\s+/i, "");

/**
 * Return what a token says; whether it is true only the server can tell.
 *
 * The project id comes from here, so that nobody has to type it.
 */
export function readClaims(token) {
  // also keeps out characters that no header can carry
  if (!SHAPE.test(token)) throw new BadToken("This is not a token: one has three parts, with dots between.");
  let claims;
  try {
    const part = token.split(".")[1].replace(/=/g, "").replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(part), (c) => c.charCodeAt(0));
    claims = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new BadToken("This is not a token: it cannot be decoded. Was it copied whole?");
  }
  if (!Number.isSafeInteger(claims?.pid) || claims.pid <= 0) {
    throw new BadToken("This token names no project. A project token is needed, not a user token.");
  }
  return claims;
}

// sessionStorage: gone with the tab, and unlike a cookie never sent by the browser on its own
export const store = (token) => sessionStorage.setItem(KEY, token);
export const stored = () => sessionStorage.getItem(KEY);
export const forget = () => sessionStorage.removeItem(KEY);
