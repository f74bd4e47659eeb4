// Which series a chart shows, each with a colour that it keeps.

export const MOST = 8; // colours that can be told apart

/** The chosen series, `{deviceId, name, colour}`; colour counts from 0. */
export class Lines {
  #lines = [];

  get all() {
    return this.#lines;
  }

  has(deviceId, name) {
    return this.#find(deviceId, name) !== undefined;
  }

  /** Show one alone. */
  set(deviceId, name) {
    this.#lines = [];
    this.add(deviceId, name);
  }

  /** Show one more; false where there is no colour left. */
  add(deviceId, name) {
    if (this.has(deviceId, name)) return true;
    const taken = new Set(this.#lines.map(({ colour }) => colour));
    const colour = [...Array(MOST).keys()].find((one) => !taken.has(one));
    if (colour === undefined) return false;
    this.#lines = [...this.#lines, { deviceId, name, colour }];
    return true;
  }

  remove(deviceId, name) {
    this.#lines = this.#lines.filter((line) => line !== this.#find(deviceId, name));
  }

  clear() {
    this.#lines = [];
  }

  #find(deviceId, name) {
    return this.#lines.find((line) => line.deviceId === deviceId && line.name === name);
  }
}
