// Facts in the header: the model, and how long the last answer took.

import { byId, count, milliseconds } from "./elements.js";

export function showModel({ items, known_users: people, version }) {
  byId("fact-items").textContent = count(items);
  byId("fact-people").textContent = count(people);
  byId("fact-version").textContent = version;
  byId("fact-version").title = version;
}

export function showLatency({ timing_ms: timing, cached, fallback }) {
  byId("latency-total").textContent = milliseconds(timing.total);
  byId("latency-adapt").textContent = milliseconds(timing.adapt);
  byId("latency-score").textContent = milliseconds(timing.score);
  byId("latency-source").textContent = cached ? "cache" : "computed";
  byId("latency").dataset.cached = cached;
  byId("latency").dataset.fallback = fallback;
}
