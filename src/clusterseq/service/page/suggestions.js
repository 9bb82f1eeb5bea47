// Suggestions: what many people touched and what is typical of each cluster, to pick from.

import { byId, element } from "./elements.js";
import { swatch } from "./palette.js";
import { keyOf, learn, titleOf } from "./titles.js";

const FEW = 10;

export class Suggestions {
  #list = byId("suggestions");
  #more = byId("suggest-more");
  #toggle;
  #popular = [];
  #clusters = [];

  /** `toggle(id)` when somebody presses one. */
  constructor({ toggle }) {
    this.#toggle = toggle;
    this.#more.addEventListener("click", () => {
      const open = this.#more.getAttribute("aria-expanded") !== "true";
      this.#more.setAttribute("aria-expanded", open);
      this.#more.textContent = open ? "Fewer" : "More";
      this.#limit();
    });
  }

  showPopular(items) {
    learn(items);
    this.#popular = items;
    this.#render();
  }

  showClusters(clusters) {
    clusters.forEach(({ typical }) => learn(typical));
    this.#clusters = clusters;
    this.#render();
  }

  /** Mark what the history holds. */
  mark(history) {
    const picked = new Set(history.map(keyOf));
    byId("suggest-title").textContent = history.length ? "More to pick from" : "Start with one of these";
    for (const button of this.#list.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", picked.has(button.dataset.key));
    }
  }

  #render() {
    this.#list.replaceChildren(...this.#mixed().map((entry) => this.#button(entry)));
    byId("suggest").hidden = !this.#list.children.length;
    byId("suggest-note").hidden = !this.#clusters.length;
    this.#limit();
  }

  /** Popular items and the clusters' typical ones in turn, each item once. */
  #mixed() {
    const typical = [0, 1].flatMap((place) =>
      this.#clusters
        .filter((cluster) => cluster.typical[place])
        .map((cluster) => ({ ...cluster.typical[place], cluster: cluster.id })),
    );
    const clusterOf = new Map(typical.map(({ item, cluster }) => [keyOf(item), cluster]).reverse());
    const seen = new Set();
    const mixed = [];
    const take = (entry) => {
      if (!entry || seen.has(keyOf(entry.item))) return;
      seen.add(keyOf(entry.item));
      mixed.push({ item: entry.item, cluster: clusterOf.get(keyOf(entry.item)) });
    };
    for (let place = 0; place < Math.max(this.#popular.length, typical.length); place += 1) {
      take(typical[place]);
      take(this.#popular[place]);
    }
    return mixed;
  }

  #button({ item, cluster }) {
    const key = keyOf(item);
    const typical = cluster !== undefined;
    return element(
      "li",
      {},
      element(
        "button",
        {
          type: "button",
          class: "suggestion",
          "aria-pressed": "false",
          title: titleOf(item) + (typical ? `, typical of cluster ${cluster}` : ""),
          "data-testid": "suggestion",
          "data-item": item,
          "data-key": key,
          "data-cluster": cluster,
          on: { click: () => this.#toggle(item) },
        },
        typical ? swatch(cluster) : null,
        element("span", { class: "suggestion-title" }, titleOf(item)),
      ),
    );
  }

  #limit() {
    const open = this.#more.getAttribute("aria-expanded") === "true";
    [...this.#list.children].forEach((child, index) => {
      child.hidden = !open && index >= FEW;
    });
    this.#more.hidden = this.#list.children.length <= FEW;
  }
}
