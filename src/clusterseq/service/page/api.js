// The service's API: requests, answers and what goes wrong between them.

const KEY = "clusterseq.api-key";

/** What a key may be made of; nothing else can be sent as one. */
const SENDABLE = /^[\x20-\x7e]*$/;

/** Characters of a query that the service reads. */
const QUERY = 200;

/** A request that failed; status 0 means that nobody answered. */
export class ApiError extends Error {
  constructor({ status = 0, title = "", detail = "", retryAfter = null }) {
    super(detail || title || `status ${status}`);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

export class Api {
  #key = stored();

  /** Send this key from now on, for as long as the tab lives. */
  useKey(key) {
    this.#key = key;
    try {
      if (key) sessionStorage.setItem(KEY, key);
      else sessionStorage.removeItem(KEY);
    } catch {
      // A browser without storage keeps the key as long as the page.
    }
  }

  get hasKey() {
    return Boolean(this.#key);
  }

  model(signal) {
    return this.#ask("v1/model", { signal });
  }

  map(signal) {
    return this.#ask("v1/model/map", { signal });
  }

  items({ query = "", limit }, signal) {
    const words = query.slice(0, QUERY);
    const parameters = new URLSearchParams(words ? { query: words, limit } : { limit });
    return this.#ask(`v1/items?${parameters}`, { signal });
  }

  recommend({ history, k = 10, steps = null, explain = true }, signal) {
    const body = { history, k, exclude: [], only: null, filter_seen: true, explain, steps };
    return this.#ask("v1/recommend", {
      signal,
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  async #ask(path, { headers = {}, ...options }) {
    if (!SENDABLE.test(this.#key ?? "")) throw new ApiError({ status: 401, title: "No API key" });
    const authorization = this.#key ? { Authorization: `Bearer ${this.#key}` } : {};
    const url = new URL(path, new URL(".", document.baseURI));
    let response;
    try {
      response = await fetch(url, {
        ...options,
        headers: { Accept: "application/json", ...headers, ...authorization },
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError({});
    }
    if (!response.ok) throw await failure(response);
    try {
      return JSON.parse(await response.text(), exactly);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError({ status: 502, title: "The answer is not JSON" });
    }
  }
}

// A whole number beyond 2^53 is an id that a double would change; as text the service finds it, too.
function exactly(key, value, context) {
  const whole = typeof value === "number" && Number.isInteger(value);
  return whole && !Number.isSafeInteger(value) && context ? context.source : value;
}

async function failure(response) {
  const problem = await response.json().catch(() => ({}));
  const seconds = Number.parseInt(response.headers.get("Retry-After"), 10);
  return new ApiError({
    status: response.status,
    title: text(problem?.title) || response.statusText,
    detail: text(problem?.detail),
    retryAfter: Number.isFinite(seconds) ? seconds : null,
  });
}

function text(value) {
  if (value == null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function stored() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}
