// Palette: a colour for each cluster (Okabe and Ito's, told apart by colour-blind eyes too).

import { element } from "./elements.js";

export const COLOURS = 8;

/** Which of the colours a cluster has. */
export const toneOf = (cluster) => ((cluster % COLOURS) + COLOURS) % COLOURS;

/** The colours as the style sheet has them now, light or dark. */
export function tones() {
  const style = getComputedStyle(document.documentElement);
  return Array.from({ length: COLOURS }, (_, tone) => style.getPropertyValue(`--tone-${tone}`).trim());
}

/** A dot in the cluster's colour. */
export function swatch(cluster) {
  return element("span", { class: "swatch", "data-tone": toneOf(cluster), "aria-hidden": "true" });
}
