// Why: what an item's score is the sum of, and what each pick has to do with it.

import { element } from "./elements.js";
import { titleOf } from "./titles.js";

const CERTAIN = 0.005; // a gain below is no reason

/** The reason in a few words: the pick that raises the item most, or that is most like it. */
export function reason({ history, nearest }) {
  const lead = history.reduce((best, one) => (one.gain > (best?.gain ?? CERTAIN) ? one : best), null);
  if (lead) return ["because of ", element("b", {}, titleOf(lead.item)), ` ${times(lead.gain)}`];
  return nearest ? ["like ", element("b", {}, titleOf(nearest.item))] : ["liked by most"];
}

/** The whole of it: every pick, then the parts of the score. */
export function details({ parts, history, nearest }) {
  const most = Math.max(CERTAIN, ...history.map(({ gain }) => Math.abs(gain)));
  const picks = history.map((one) =>
    element(
      "li",
      { class: "why-pick", "data-testid": "why-pick" },
      element("span", { class: "why-name" }, titleOf(one.item)),
      element("span", { class: "why-bar", "aria-hidden": "true" }, bar(one.gain, most)),
      element("span", { class: "why-times" }, times(one.gain)),
      element("span", { class: "why-seen" }, one.attention === null ? "" : percent(one.attention)),
    ),
  );
  const sum = Object.entries(parts)
    .filter(([, value]) => Math.abs(value) >= CERTAIN)
    .sort(([, one], [, two]) => Math.abs(two) - Math.abs(one))
    .map(([name, value]) => element("li", { "data-testid": "why-part" }, name, " ", signed(value)));
  return [
    ...(picks.length
      ? [
          element("p", { class: "why-head" }, "Each pick: how many times as likely it makes this, and its attention"),
          element("ul", { class: "why-picks" }, ...picks),
        ]
      : []),
    element("p", { class: "why-head" }, "The score is the sum of"),
    element("ul", { class: "why-parts" }, ...sum),
    ...(nearest
      ? [element("p", { class: "why-head" }, `Most like ${titleOf(nearest.item)} (${nearest.similarity.toFixed(2)})`)]
      : []),
  ];
}

function bar(gain, most) {
  const fill = element("span", { class: gain < 0 ? "why-fill why-less" : "why-fill" });
  fill.style.setProperty("--part", Math.abs(gain) / most);
  return fill;
}

const times = (gain) => (gain < 0 ? `÷${Math.exp(-gain).toFixed(1)}` : `×${Math.exp(gain).toFixed(1)}`);
const percent = (share) => `${Math.round(100 * share)} %`;
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
