// Comparison: the list before adaptation beside the one after it, and lines for what moved.

import { byId, element, plural, shape } from "./elements.js";
import { marker, movement, ranksOf } from "./movement.js";
import { keyOf, learn, titleOf } from "./titles.js";

const SHOWN = 10;

/** How many items the list before adaptation should hold, to tell where newcomers come from. */
export const DEPTH = 50;

export class Comparison {
  #section = byId("comparison-section");
  #root = byId("comparison");
  #links = [];

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(this.#root);
  }

  hide() {
    this.#section.hidden = true;
  }

  /** Tell what it will show, as long as there is no history. */
  invite() {
    this.#section.hidden = false;
    byId("comparison-note").textContent =
      "Pick something, and this shows what the adaptation to you alone changes.";
    this.#links = [];
    this.#root.replaceChildren();
  }

  /** Show two answers to one history: without a step, and after all `steps` of them. */
  show(without, after, steps) {
    learn([...without.items, ...after.items]);
    const before = without.items.slice(0, SHOWN);
    const earlier = ranksOf(without.items);
    const now = ranksOf(after.items);
    const moves = after.items.map(({ item }, index) => ({
      key: keyOf(item),
      item,
      rank: index + 1,
      earlier: earlier.get(keyOf(item)),
      ...movement(earlier.get(keyOf(item)), index + 1, before.length),
    }));
    this.#section.hidden = false;
    byId("comparison-note").textContent = summary(moves);

    const left = before.map(({ item }, index) => {
      const gone = !now.has(keyOf(item));
      return this.#entry(item, index + 1, gone ? { kind: "gone", sign: "out", words: "leaves" } : null);
    });
    const right = moves.map((move) => this.#entry(move.item, move.rank, move));
    const lines = shape("svg", { class: "slope-lines", "aria-hidden": "true" });
    this.#links = [
      ...moves.map(({ key, kind, rank, earlier: from }) => ({
        key,
        kind,
        from: kind === "new" ? null : left[from - 1],
        to: right[rank - 1],
      })),
      ...before
        .map(({ item }, index) => ({ key: keyOf(item), kind: "gone", from: left[index], to: null }))
        .filter(({ key }) => !now.has(key)),
    ];
    this.#root.replaceChildren(
      this.#side("Before", "no step", left, "comparison-before"),
      element("div", { class: "slope-gap" }, lines),
      this.#side("After", plural(steps, "step"), right, "comparison-after"),
    );
    this.#draw();
  }

  #side(name, note, entries, testid) {
    const id = `${testid}-title`;
    return element(
      "div",
      { class: "slope-side" },
      element("h3", { class: "label", id }, name, element("span", { class: "aside" }, ` ${note}`)),
      element("ol", { class: "slope-list", "data-testid": testid, "aria-labelledby": id }, ...entries),
    );
  }

  #entry(item, rank, move) {
    const key = keyOf(item);
    return element(
      "li",
      {
        class: `slope-entry${move ? ` is-${move.kind}` : ""}`,
        "data-item": item,
        "data-key": key,
        on: {
          pointerenter: () => this.#point(key),
          pointerleave: () => this.#point(null),
        },
      },
      element("span", { class: "slope-rank", "aria-hidden": "true" }, String(rank)),
      element("span", { class: "slope-title", title: titleOf(item) }, titleOf(item)),
      move ? marker(move) : null,
    );
  }

  #point(key) {
    this.#root.classList.toggle("is-pointing", key !== null);
    for (const node of this.#root.querySelectorAll("[data-key]")) {
      node.classList.toggle("is-pointed", node.dataset.key === key);
    }
  }

  #draw() {
    const lines = this.#root.querySelector(".slope-lines");
    if (!lines || !lines.clientWidth) return;
    const frame = lines.getBoundingClientRect();
    const [width, height] = [frame.width, frame.height];
    const middle = (node) => {
      const box = node.getBoundingClientRect();
      return box.top + box.height / 2 - frame.top;
    };
    lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    lines.replaceChildren(
      ...this.#links.map(({ key, kind, from, to }) => {
        const group = shape("g", { class: `slope-line line-${kind}`, "data-key": key });
        const [a, b] = [4, width - 4];
        if (from && to) {
          const [y, z, bend] = [middle(from), middle(to), width / 2];
          group.append(shape("path", { d: `M${a} ${y}C${bend} ${y} ${bend} ${z} ${b} ${z}` }));
          group.append(shape("circle", { cx: a, cy: y, r: 3 }), shape("circle", { cx: b, cy: z, r: 3 }));
        } else {
          const [x, y, end] = to ? [b, middle(to), b - 14] : [a, middle(from), a + 14];
          group.append(shape("path", { d: `M${x} ${y}H${end}` }), shape("circle", { cx: x, cy: y, r: 3 }));
        }
        return group;
      }),
    );
  }
}

function summary(moves) {
  const fresh = moves.filter(({ kind }) => kind === "new").length;
  const moved = moves.filter(({ kind }) => kind === "up" || kind === "down").length;
  if (!fresh && !moved) return "The same history, twice: here the adaptation leaves the list as it is.";
  const climbs = moves
    .filter((move) => move.earlier > move.rank)
    .sort((a, b) => b.earlier - b.rank - (a.earlier - a.rank));
  const best = climbs[0];
  const climb = best ? ` ${titleOf(best.item)} climbs from ${best.earlier} to ${best.rank}.` : "";
  const news = fresh ? `${fresh} of ${moves.length} are new` : "none is new";
  return `The same history, twice: ${news}, ${moved} change places.${climb}`;
}
