// Ranking: the ten items, why they are there and how they moved.

import { byId, element, glide, plural, score, titleParts } from "./elements.js";
import { marker, movement, ranksOf } from "./movement.js";
import { keyOf, learn, titleOf } from "./titles.js";
import { details, reason } from "./why.js";

const PLACEHOLDERS = 10;

export class Ranking {
  #list = byId("ranking");
  #live = byId("ranking-live");
  #rows = new Map();
  #earlier = null;
  #add;
  #timer = null;

  /** `add(id)` when somebody wants an item in the history. */
  constructor({ add }) {
    this.#add = add;
    const blank = () => element("li", { class: "row row-blank", "aria-hidden": "true" });
    this.#list.replaceChildren(...Array.from({ length: PLACEHOLDERS }, blank));
  }

  busy(is) {
    this.#list.setAttribute("aria-busy", is);
  }

  /** Show an answer to a history of so many known items. */
  show({ items, fallback }, history) {
    learn(items);
    for (const { why } of items) learn([...(why?.history ?? []), why?.nearest]);
    const scores = items.map((one) => one.score);
    const [low, high] = [Math.min(...scores), Math.max(...scores)];
    const place = this.#focusedPlace();
    const rows = new Map();
    const moves = [];
    items.forEach((one, index) => {
      const key = keyOf(one.item);
      const row = this.#rows.get(key) ?? this.#row(one.item);
      const move = this.#earlier && movement(this.#earlier.get(key), index + 1, items.length);
      if (move) moves.push(move);
      fill(row, one, index + 1, high > low ? (one.score - low) / (high - low) : 1, move);
      rows.set(key, row);
    });
    glide(this.#list, () => this.#list.replaceChildren(...rows.values()));
    this.#rows = rows;
    this.#earlier = ranksOf(items);
    this.#refocus(place);
    this.#head(history, fallback);
    this.#announce(items, moves);
  }

  #row(id) {
    const title = titleOf(id);
    return element(
      "li",
      { class: "row", "data-testid": "ranking-item", "data-item": id },
      element("span", { class: "row-rank", "aria-hidden": "true" }),
      element("span", { class: "row-move" }),
      element(
        "div",
        { class: "row-text" },
        element("p", { class: "row-title", "data-testid": "ranking-title" }, ...titleParts(title)),
        element(
          "details",
          { class: "row-why", "data-testid": "ranking-why" },
          element("summary", { "data-testid": "ranking-reason" }),
          element("div", { class: "why", "data-testid": "ranking-details" }),
        ),
        element("p", { class: "row-id" }),
      ),
      element(
        "div",
        { class: "row-score" },
        element("span", { class: "bar", "aria-hidden": "true" }, element("span", { class: "bar-fill" })),
        unseen("score "),
        element("span", { class: "row-number", "data-testid": "ranking-score" }),
      ),
      element(
        "button",
        {
          type: "button",
          class: "add",
          "aria-label": `Add ${title} to your history`,
          title: "Add to your history",
          "data-testid": "ranking-add",
          on: { click: () => this.#add(id) },
        },
        element("span", { "aria-hidden": "true" }, "+"),
      ),
    );
  }

  #head(history, fallback) {
    byId("ranking-title").textContent = history ? "Your ranking" : "What suits everybody";
    byId("ranking-note").textContent = !history
      ? "What most people choose."
      : fallback
        ? "The service ran short of time: for now, what is popular."
        : `After ${plural(history, "pick")}, out of the whole catalogue.`;
  }

  #announce(items, moves) {
    clearTimeout(this.#timer);
    const first = items.slice(0, 3).map(({ item }, index) => `${index + 1}, ${titleOf(item)}`);
    const fresh = moves.filter(({ kind }) => kind === "new").length;
    const changed = moves.length ? ` ${fresh} new.` : "";
    this.#timer = setTimeout(() => {
      this.#live.textContent = `Ranking updated.${changed} ${first.join("; ")}.`;
    }, 250);
  }

  #focusedPlace() {
    const row = document.activeElement?.closest?.(".row");
    return row ? [...this.#list.children].indexOf(row) : -1;
  }

  #refocus(place) {
    if (place < 0) return;
    const row = this.#list.children[Math.min(place, this.#list.children.length - 1)];
    const kept = document.activeElement?.closest?.(".row");
    if (!kept) (row?.querySelector(".add") ?? byId("search")).focus({ preventScroll: true });
  }
}

const unseen = (text) => element("span", { class: "unseen" }, text);

function fill(row, { item, score: points, why }, rank, part, move) {
  row.dataset.rank = rank;
  row.querySelector(".row-rank").textContent = rank;
  row.querySelector(".row-move").replaceChildren(...(move ? [marker(move)] : []));
  row.querySelector(".bar-fill").style.setProperty("--part", Math.max(0.03, part));
  row.querySelector(".row-number").textContent = score(points);
  row.querySelector(".row-why").hidden = !why;
  row.querySelector("summary").replaceChildren(...(why ? reason(why) : []));
  row.querySelector(".why").replaceChildren(...(why ? details(why) : []));
  const named = titleOf(item) !== String(item);
  row.querySelector(".row-id").replaceChildren(...(named ? [unseen("id "), String(item)] : []));
}
