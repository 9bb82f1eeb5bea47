// Movement: where an item of a list stood in an earlier one.

import { element } from "./elements.js";
import { keyOf } from "./titles.js";

/** Ranks by key, from 1. */
export function ranksOf(items) {
  return new Map(items.map(({ item }, index) => [keyOf(item), index + 1]));
}

/** From an earlier rank (undefined: not in the list) to one in a list of `length`. */
export function movement(earlier, rank, length) {
  if (earlier === undefined) return { kind: "new", sign: "new", words: "new" };
  if (earlier > length) return { kind: "new", sign: `from ${earlier}`, words: `new, from ${earlier}` };
  const by = earlier - rank;
  if (by > 0) return { kind: "up", sign: `▲ ${by}`, words: `up ${by}`, by };
  if (by < 0) return { kind: "down", sign: `▼ ${-by}`, words: `down ${-by}`, by };
  return { kind: "same", sign: "–", words: "unchanged", by };
}

/** The marker for it. */
export function marker({ kind, sign, words }) {
  return element(
    "span",
    { class: `move move-${kind}`, "data-testid": "movement", "data-move": words },
    element("span", { "aria-hidden": "true" }, sign),
    element("span", { class: "unseen" }, words),
  );
}
