// Picker: the search box, a combobox over the service's items.

import { byId, count, element, titleParts } from "./elements.js";
import { learn, titleOf } from "./titles.js";

const PAUSE = 120;
const LIMIT = 12;

export class Picker {
  #input = byId("search");
  #popup = byId("search-popup");
  #list = byId("search-options");
  #note = byId("search-note");
  #found = [];
  #active = -1;
  #timer = null;
  #running = null;
  #api;
  #pick;
  #fail;

  /** `pick(id)` for what somebody chose, `fail(error)` when the service does. */
  constructor({ api, pick, fail }) {
    this.#api = api;
    this.#pick = pick;
    this.#fail = fail;
    this.#input.addEventListener("input", () => this.#schedule());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#input.addEventListener("focus", () => this.#input.value.trim() && this.#schedule());
    this.#input.addEventListener("blur", () => this.#close());
    this.#popup.addEventListener("pointerdown", (event) => event.preventDefault());
  }

  #schedule() {
    clearTimeout(this.#timer);
    this.#running?.abort();
    const query = this.#input.value.trim();
    if (!query) {
      this.#close();
      return;
    }
    this.#timer = setTimeout(() => this.#search(query), PAUSE);
  }

  async #search(query) {
    this.#running = new AbortController();
    try {
      const { items, total } = await this.#api.items({ query, limit: LIMIT }, this.#running.signal);
      learn(items);
      this.#show(query, items, total);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#close();
      this.#fail(error);
    }
  }

  #show(query, items, total) {
    if (document.activeElement !== this.#input) return;
    this.#found = items;
    this.#list.replaceChildren(...items.map((entry, index) => this.#option(entry, index)));
    this.#list.hidden = !items.length;
    this.#note.textContent = items.length
      ? total > items.length
        ? `${count(items.length)} of ${count(total)} matches`
        : ""
      : `Nothing is called “${query}”. Try fewer letters.`;
    this.#popup.hidden = false;
    this.#input.setAttribute("aria-expanded", items.length ? "true" : "false");
    this.#activate(items.length ? 0 : -1);
  }

  #option({ item, title, count: touches }, index) {
    return element(
      "li",
      {
        id: `search-option-${index}`,
        class: "search-option",
        role: "option",
        "aria-selected": "false",
        "data-testid": "search-option",
        "data-item": item,
        on: {
          click: () => this.#choose(index),
          pointermove: () => this.#active !== index && this.#activate(index),
        },
      },
      element("span", { class: "option-title" }, ...titleParts(title ?? String(item))),
      element("span", { class: "option-count" }, `${count(touches)} ×`),
    );
  }

  #activate(index) {
    this.#list.children[this.#active]?.setAttribute("aria-selected", "false");
    this.#active = index;
    const option = this.#list.children[index];
    if (!option) {
      this.#input.removeAttribute("aria-activedescendant");
      return;
    }
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    this.#input.setAttribute("aria-activedescendant", option.id);
  }

  #key(event) {
    const open = !this.#popup.hidden && this.#found.length > 0;
    const last = this.#found.length - 1;
    if (event.isComposing) return;
    if (event.key === "ArrowDown" && !open) this.#schedule();
    else if (event.key === "ArrowDown") this.#activate(this.#active >= last ? 0 : this.#active + 1);
    else if (event.key === "ArrowUp" && open) {
      this.#activate(this.#active <= 0 ? last : this.#active - 1);
    } else if (event.key === "Enter" && open) this.#choose(this.#active);
    else if (event.key === "Escape" && !this.#popup.hidden) this.#close();
    else if (event.key === "Escape") this.#input.value = "";
    else return;
    event.preventDefault();
  }

  #choose(index) {
    const entry = this.#found[index];
    if (!entry) return;
    this.#input.value = "";
    this.#close();
    this.#pick(entry.item, titleOf(entry.item));
  }

  #close() {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#found = [];
    this.#activate(-1);
    this.#popup.hidden = true;
    this.#list.replaceChildren();
    this.#note.textContent = "";
    this.#input.setAttribute("aria-expanded", "false");
  }
}
