// Mixture: how much of each cluster is in somebody.

import { byId, element, share } from "./elements.js";
import { swatch, toneOf } from "./palette.js";
import { learn, titleOf } from "./titles.js";

const NAMED_BY = 3;

/** A cluster's name: what is typical of it. */
export function nameOf({ id, typical }) {
  const titles = typical.slice(0, NAMED_BY).map(({ item }) => titleOf(item).replace(/\s\(\d{4}\)$/, ""));
  return titles.length ? titles.join(" · ") : `Cluster ${id}`;
}

export class Mixture {
  #list = byId("mixture");
  #rows = new Map();
  #point;
  #pinned = null;

  /** `point(cluster)` when somebody points at a cluster, `point(null)` afterwards. */
  constructor({ point }) {
    this.#point = point;
  }

  showClusters(clusters) {
    clusters.forEach(({ typical }) => learn(typical));
    this.#rows = new Map(clusters.map((cluster) => [cluster.id, this.#row(cluster)]));
    this.#list.replaceChildren(...this.#rows.values());
  }

  /** Show somebody's shares, by the clusters' ids; without any, everybody's. */
  show({ clusters: shares, cluster: own }, history) {
    const top = Math.max(0.35, ...shares);
    byId("mixture-title").textContent = history ? "Your mixture of clusters" : "Everybody’s mixture";
    for (const [id, row] of this.#rows) {
      const part = shares.length ? (shares[id] ?? 0) : Number(row.dataset.size);
      row.classList.toggle("is-own", history > 0 && id === own);
      row.dataset.share = part;
      row.querySelector(".mixture-share").textContent = share(part);
      row.querySelector(".mixture-bar").style.setProperty("--part", part / top);
      row.querySelector(".mixture-tick").style.setProperty("--part", Math.min(1, row.dataset.size / top));
    }
  }

  #row(cluster) {
    const { id, size } = cluster;
    const point = (now) => this.#point(now ?? this.#pinned);
    const pin = () => {
      this.#pinned = this.#pinned === id ? null : id;
      for (const [other, row] of this.#rows) {
        row.querySelector("button").setAttribute("aria-pressed", other === this.#pinned);
      }
      point(null);
    };
    return element(
      "li",
      {
        class: "mixture-row",
        "data-testid": "mixture-row",
        "data-cluster": id,
        "data-size": size,
        "data-tone": toneOf(id),
      },
      element(
        "button",
        {
          type: "button",
          class: "mixture-name",
          "aria-pressed": "false",
          title: `${nameOf(cluster)}: show on the map`,
          on: { click: pin, pointerenter: () => point(id), pointerleave: () => point(null) },
        },
        swatch(id),
        element("span", { class: "unseen" }, "Cluster "),
        element("span", { class: "mixture-id" }, String(id)),
        element("span", { class: "mixture-titles" }, nameOf(cluster)),
      ),
      element("span", { class: "mixture-share" }),
      element(
        "span",
        { class: "mixture-track", "aria-hidden": "true" },
        element("span", { class: "mixture-bar", "data-testid": "mixture-bar" }),
        element("span", { class: "mixture-tick" }),
      ),
    );
  }
}
