// The page: what somebody touched goes to the service, its answers go to the parts of the page.

import { format, parse } from "./address.js";
import { Api, ApiError } from "./api.js";
import { Banner } from "./banner.js";
import { Comparison, DEPTH } from "./comparison.js";
import { byId } from "./elements.js";
import { showLatency, showModel } from "./facts.js";
import { History } from "./history.js";
import { ItemMap } from "./map.js";
import { Mixture } from "./mixture.js";
import { Picker } from "./picker.js";
import { Ranking } from "./ranking.js";
import { Suggestions } from "./suggestions.js";
import { lookUp } from "./titles.js";

const POPULAR = 24;

const app = byId("app");
const slider = byId("steps");
const api = new Api();

/** What the page shows; `steps` is null for all of the model's. */
const state = { ...parse(location.hash), model: null };
const loaded = { model: false, popular: false, map: false };
let running = null;

const banner = new Banner(byId("banner"), { retry: start, useKey, startOver });
const history = new History({ change: setHistory, say });
const suggestions = new Suggestions({ toggle });
const ranking = new Ranking({ add });
const comparison = new Comparison();
const map = new ItemMap();
const mixture = new Mixture({ point: (cluster) => map.point(cluster) });
new Picker({ api, pick: add, fail });

/* What people do. */

function add(id) {
  setHistory([...state.history.filter((other) => other !== id), id]);
}

function toggle(id) {
  if (state.history.includes(id)) setHistory(state.history.filter((other) => other !== id));
  else add(id);
}

function startOver() {
  setHistory([]);
  byId("search").focus();
}

function setHistory(ids) {
  state.history = ids;
  remember("pushState");
  refresh();
}

function setSteps(steps) {
  state.steps = steps >= innerSteps() ? null : steps;
  remember("replaceState");
  refresh();
}

function useKey(key) {
  api.useKey(key);
  start();
}

function remember(how) {
  const hash = format(state);
  if (hash === location.hash) return;
  window.history[how](null, "", hash || `${location.pathname}${location.search}`);
}

function followAddress() {
  if (format(state) === location.hash) return;
  Object.assign(state, parse(location.hash));
  if (state.steps !== null && state.steps >= innerSteps()) state.steps = null;
  refresh();
}

/* What the service says. */

/** Load what is missing of the model, then the ranking and the rest. */
async function start() {
  history.show(state.history);
  try {
    await loadModel();
  } catch (error) {
    fail(error);
    return;
  }
  const results = await Promise.allSettled([refresh(), loadPopular(), loadMap()]);
  const failed = results.find(({ status }) => status === "rejected");
  if (failed) fail(failed.reason);
}

async function loadModel() {
  if (loaded.model) return;
  const model = await api.model();
  loaded.model = true;
  state.model = model;
  showModel(model);
  suggestions.showClusters(model.clusters);
  suggestions.mark(state.history);
  mixture.showClusters(model.clusters);
  map.showClusters(model.clusters);
  if (state.steps !== null && state.steps >= model.inner_steps) state.steps = null;
  showSteps();
}

/** What the page shows of a model is of the one that answers: it may have changed meanwhile. */
async function follow(version) {
  if (state.model?.version === version) return;
  Object.assign(loaded, { model: false, popular: false, map: false });
  await loadModel();
  await Promise.all([loadPopular(), loadMap()]);
}

async function loadPopular() {
  if (loaded.popular) return;
  const { items } = await api.items({ limit: POPULAR });
  loaded.popular = true;
  suggestions.showPopular(items);
  suggestions.mark(state.history);
}

/** The map is an extra: a model without one has the rest of the page. */
async function loadMap() {
  if (loaded.map || !state.model?.clusters.length) return;
  try {
    const { points } = await api.map();
    loaded.map = true;
    map.showPoints(points);
    byId("map-figure").hidden = !points.length;
  } catch (error) {
    byId("map-figure").hidden = true;
    if (error.status !== 404) throw error;
  }
}

/** Ask for the ranking of the history as it is now; an earlier question is dropped. */
async function refresh() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  const asked = { history: [...state.history], steps: state.steps };
  app.dataset.state = "loading";
  ranking.busy(true);
  history.show(asked.history);
  suggestions.mark(asked.history);
  showSteps();
  try {
    const answer = await api.recommend(asked, signal);
    banner.hide();
    await follow(answer.model_version);
    showAnswer(answer, asked);
    await compare(answer, asked, signal);
    app.dataset.answers = Number(app.dataset.answers) + 1;
    app.dataset.state = "ready";
    nameHistory(asked.history);
  } catch (error) {
    if (error.name === "AbortError") return;
    ranking.busy(false);
    fail(error);
  }
}

function showAnswer(answer, { history: ids }) {
  const known = ids.length - answer.ignored_items.length;
  ranking.show(answer, known);
  ranking.busy(false);
  history.label();
  history.showIgnored(answer.ignored_items);
  showLatency(answer);
  showStand(answer, known);
}

async function compare(answer, { history: ids, steps }, signal) {
  if (!innerSteps()) return comparison.hide();
  if (ids.length === answer.ignored_items.length) return comparison.invite();
  const [without, after] = await Promise.all([
    api.recommend({ history: ids, steps: 0, k: DEPTH, explain: false }, signal),
    steps === null ? answer : api.recommend({ history: ids }, signal),
  ]);
  return comparison.show(without, after, innerSteps());
}

async function nameHistory(ids) {
  try {
    await lookUp(api, ids);
    history.label();
  } catch {
    // The ids stand in for their titles.
  }
}

function fail(error) {
  if (error.name === "AbortError") return;
  app.dataset.state = "error";
  if (error instanceof ApiError) banner.show(error, { hasKey: api.hasKey });
  else throw error;
}

/* What the page shows. */

function showStand(answer, known) {
  byId("stand").hidden = !state.model?.clusters.length;
  mixture.show(answer, known);
  const position = known ? answer.position : null;
  map.show({ ...answer, position });
  byId("stand-note").textContent = position
    ? "Every pick moves you: the model weighs its clusters anew each time."
    : "Pick something, and you appear on the map.";
}

function innerSteps() {
  return state.model?.inner_steps ?? 0;
}

function showSteps() {
  const all = innerSteps();
  const steps = state.steps ?? all;
  byId("steps-control").hidden = state.model !== null && all === 0;
  slider.max = all;
  slider.value = steps;
  slider.disabled = !all || !state.history.length;
  slider.style.setProperty("--part", all ? steps / all : 0);
  byId("steps-value").textContent = all ? `${steps} of ${all}` : "–";
  slider.setAttribute("aria-valuetext", `${steps} of ${all}`);
}

function say(text) {
  byId("live").textContent = text;
}

function stickToView() {
  const pick = byId("pick");
  const place = () => {
    const room = window.innerHeight - pick.offsetHeight - 24;
    pick.style.setProperty("--stick", `${Math.min(32, room)}px`);
  };
  new ResizeObserver(place).observe(pick);
  window.addEventListener("resize", place);
}

async function copyLink({ currentTarget: button }) {
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copy it from the address bar";
  }
  say(button.textContent);
  setTimeout(() => {
    button.textContent = "Copy link";
  }, 2000);
}

slider.addEventListener("input", () => setSteps(Number(slider.value)));
byId("start-over").addEventListener("click", startOver);
byId("copy-link").addEventListener("click", copyLink);
window.addEventListener("popstate", followAddress);
window.addEventListener("hashchange", followAddress);
document.querySelector("[data-skip]").addEventListener("click", (event) => {
  event.preventDefault();
  byId("ranking-title").focus();
});

stickToView();
start();
