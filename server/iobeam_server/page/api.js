// Requests to the REST API, and what can come of them.

const TIMEOUT_MS = 20_000; // the server answers in milliseconds; a dead network would take minutes

/** The server said no: repeating the request would not help. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** No answer, or one that says "not now": worth another try. */
export class Gone extends Error {}

export class Api {
  #token;
  #aheadMs = 0;

  /** @param permissions the bits of what the token permits. */
  constructor(token, projectId, permissions) {
    this.#token = token;
    Object.assign(this, { projectId, permissions });
  }

  /** The server's time, ms: the clock of a phone or kiosk may be far off. */
  now() {
    return Date.now() - this.#aheadMs;
  }

  /** Get an answer as a value. `query` entries that are null are left out. */
  async json(path, query, signal) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    return whole(limit, signal, async () => (await this.#get(path, query, limit)).json());
  }

  /** Have something deleted; takes as long as it takes. */
  async remove(path, query) {
    const { signal } = new AbortController();
    return whole(signal, signal, async () => (await this.#ask("DELETE", path, query, signal)).json());
  }

  /** Get an answer as a blob, which the browser may keep on disk; takes as long as it takes. */
  async blob(path, query, signal) {
    return whole(signal, signal, async () => (await this.#get(path, query, signal)).blob());
  }

  /** Return a path of exports or summaries. A part is one segment, whatever characters it has. */
  pathOf(resource, ...parts) {
    return [`/v1/${resource}`, this.projectId, ...parts.map(encodeURIComponent)].join("/");
  }

  #get(path, query, signal) {
    return this.#ask("GET", path, query, signal);
  }

  async #ask(method, path, query, signal) {
    const given = Object.entries(query).filter(([, value]) => value !== null);
    const search = new URLSearchParams(given).toString();
    const answer = await fetch(search ? `${path}?${search}` : path, {
      method,
      headers: { Authorization: `Bearer ${this.#token}` },
      cache: "no-store", // what a token opened is not left in the browser's cache
      credentials: "omit",
      redirect: "error", // the token goes to this server and to no other
      signal,
    });
    const date = Date.parse(answer.headers.get("Date"));
    // whole seconds: below that the two clocks count as equal
    if (date) this.#aheadMs = Math.abs(Date.now() - date) < 2_000 ? 0 : Date.now() - date;
    if (answer.ok) return answer;
    const message = await messageOf(answer);
    // 422 to a question: it took too long. What was summed up for it is kept, the next time is quicker
    const tookTooLong = answer.status === 422 && method === "GET";
    if (answer.status === 429 || answer.status >= 500 || tookTooLong) throw new Gone(message);
    throw new Refused(answer.status, message);
  }
}

/** Run a request to the end of its body; whatever the network does to it is Gone. */
async function whole(limit, signal, request) {
  try {
    return await request();
  } catch (error) {
    if (error instanceof Refused || error instanceof Gone || signal.aborted) throw error;
    throw new Gone(limit.aborted ? "The backend takes too long." : "The backend does not answer.");
  }
}

async function messageOf(answer) {
  try {
    return String((await answer.json()).errors[0].message);
  } catch {
    return `The answer was ${answer.status}.`; // something in front of the backend spoke
  }
}
