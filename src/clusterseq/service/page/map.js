// Map: popular items as dots, and the person who moves among them.

import { byId, element, shape } from "./elements.js";
import { tones, toneOf } from "./palette.js";
import { nameOf } from "./mixture.js";

const REACH = 1.08;
const TRAIL = 6;

export class ItemMap {
  #root = byId("map");
  #canvas = element("canvas", { class: "map-dots" });
  #trail = shape("polyline", { class: "map-trail" });
  #labels = shape("g", { class: "map-labels" });
  #person = person();
  #points = [];
  #clusters = [];
  #path = [];
  #pointed = null;

  constructor() {
    const view = `${-REACH} ${-REACH} ${2 * REACH} ${2 * REACH}`;
    const above = shape("svg", { class: "map-above", viewBox: view, "aria-hidden": "true" });
    above.append(this.#trail, this.#labels, this.#person);
    this.#root.append(this.#canvas, above);
    new ResizeObserver(() => this.#draw()).observe(this.#root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  showPoints(points) {
    this.#points = points;
    this.#root.dataset.points = points.length;
    this.#draw();
  }

  showClusters(clusters) {
    this.#clusters = clusters;
    this.#labels.replaceChildren(
      ...clusters
        .filter(({ position }) => position)
        .map(({ id, position: [x, y] }) =>
          shape("text", { class: "map-label", x, y: -y, "data-cluster": id }, String(id)),
        ),
    );
  }

  /** Move the person to an answer's position; null takes them off the map. */
  show({ position, cluster }) {
    const here = Boolean(position);
    this.#root.dataset.position = here ? position.join(",") : "";
    this.#person.classList.toggle("is-here", here);
    if (here) {
      const [x, y] = position;
      if (!this.#path.length) this.#person.classList.add("is-landing");
      this.#person.style.transform = `translate(${x}px, ${-y}px)`;
      this.#person.getBoundingClientRect();
      this.#person.classList.remove("is-landing");
      const last = this.#path.at(-1);
      if (!last || last[0] !== x || last[1] !== y) this.#path.push([x, y]);
      this.#path = this.#path.slice(-TRAIL);
    } else {
      this.#path = [];
    }
    this.#trail.setAttribute("points", this.#path.map(([x, y]) => `${x},${-y}`).join(" "));
    const own = this.#clusters.find(({ id }) => id === cluster);
    const where =
      own && here ? `you are nearest to cluster ${cluster}: ${nameOf(own)}` : "you are not on it yet";
    const map = `Map of popular items in ${this.#clusters.length} clusters`;
    this.#root.setAttribute("aria-label", `${map}; ${where}.`);
  }

  /** Bring one cluster forward, or all with null. */
  point(cluster) {
    if (this.#pointed === cluster) return;
    this.#pointed = cluster;
    for (const label of this.#labels.children) {
      label.classList.toggle("is-faint", cluster !== null && label.dataset.cluster !== String(cluster));
    }
    this.#draw();
  }

  #draw() {
    const side = this.#root.clientWidth;
    if (!side || !this.#points.length) return;
    const density = window.devicePixelRatio || 1;
    this.#canvas.width = this.#canvas.height = Math.round(side * density);
    const pen = this.#canvas.getContext("2d");
    const scale = (side * density) / (2 * REACH);
    const radius = Math.max(1.7, side / 190) * density;
    const colours = tones();
    const rim = getComputedStyle(this.#root).getPropertyValue("--rim").trim();
    pen.lineWidth = 0.6 * density;
    pen.strokeStyle = rim;
    for (const [x, y, cluster] of this.#points) {
      const faint = this.#pointed !== null && this.#pointed !== cluster;
      pen.globalAlpha = faint ? 0.1 : 0.78;
      pen.fillStyle = colours[toneOf(cluster)];
      pen.beginPath();
      pen.arc((x + REACH) * scale, (REACH - y) * scale, radius, 0, 2 * Math.PI);
      pen.fill();
      pen.stroke();
    }
  }
}

function person() {
  return shape(
    "g",
    { class: "map-person", "data-testid": "map-person" },
    shape("circle", { class: "person-halo", r: 0.13 }),
    shape("circle", { class: "person-ring", r: 0.052 }),
    shape("circle", { class: "person-core", r: 0.024 }),
    shape("text", { class: "person-name", y: -0.095 }, "you"),
  );
}
