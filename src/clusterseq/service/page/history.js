// History: the chips of what somebody touched, oldest first; removable, and sorted by key or drag.

import { byId, element, glide, plural, shape } from "./elements.js";
import { keyOf, titleOf } from "./titles.js";

const CROSS = "m2 2 8 8m0-8-8 8";
const EARLIER = new Set(["ArrowLeft", "ArrowUp"]);
const LATER = new Set(["ArrowRight", "ArrowDown"]);

export class History {
  #list = byId("history");
  #ids = [];
  #chips = new Map();
  #change;
  #say;

  /** `change(ids)` when somebody sorts or removes; `say(text)` for screen readers. */
  constructor({ change, say }) {
    this.#change = change;
    this.#say = say;
  }

  show(ids) {
    const focused = this.#focus();
    this.#ids = ids;
    const keys = new Set(ids.map(keyOf));
    for (const key of this.#chips.keys()) if (!keys.has(key)) this.#chips.delete(key);
    const chips = ids.map((id) => {
      const key = keyOf(id);
      if (!this.#chips.has(key)) this.#chips.set(key, this.#chip(id));
      return this.#chips.get(key);
    });
    glide(this.#list, () => this.#list.replaceChildren(...chips));
    this.#label();
    byId("history-empty").hidden = ids.length > 0;
    byId("start-over").hidden = ids.length === 0;
    byId("copy-link").hidden = ids.length === 0 || !navigator.clipboard;
    this.#refocus(focused);
  }

  /** Mark what the model doesn't know. */
  showIgnored(ignored) {
    const unknown = new Set(ignored.map(keyOf));
    for (const [key, chip] of this.#chips) chip.classList.toggle("is-ignored", unknown.has(key));
    const note = byId("history-ignored");
    note.hidden = !ignored.length;
    note.textContent = ignored.length
      ? `The model doesn’t know ${ignored.map(titleOf).join(", ")} and leaves it out.`
      : "";
  }

  /** Write titles and places anew, once more titles are known. */
  label() {
    this.#label();
  }

  #label() {
    this.#ids.forEach((id, index) => {
      const chip = this.#chips.get(keyOf(id));
      const title = titleOf(id);
      chip.querySelector(".chip-order").textContent = index + 1;
      chip.querySelector(".chip-title").textContent = title;
      chip.querySelector(".chip-grip").title = title;
      chip.querySelector(".chip-remove").setAttribute("aria-label", `Remove ${title}`);
    });
  }

  #chip(id) {
    const grip = element(
      "button",
      {
        type: "button",
        class: "chip-grip",
        "aria-describedby": "history-help",
        on: {
          keydown: (event) => this.#key(event, id),
          pointerdown: (event) => this.#drag(event, id),
        },
      },
      element("span", { class: "chip-order" }),
      " ",
      element("span", { class: "chip-title" }),
    );
    const remove = element(
      "button",
      {
        type: "button",
        class: "chip-remove",
        "data-testid": "history-remove",
        on: { click: () => this.#remove(id) },
      },
      shape("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, shape("path", { d: CROSS })),
    );
    const attributes = { class: "chip", "data-testid": "history-chip", "data-item": id };
    return element("li", attributes, grip, remove);
  }

  #key(event, id) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Delete" || event.key === "Backspace") this.#remove(id);
    else if (EARLIER.has(event.key)) this.#move(id, -1);
    else if (LATER.has(event.key)) this.#move(id, 1);
    else return;
    event.preventDefault();
  }

  #move(id, by) {
    const from = this.#ids.indexOf(id);
    const to = from + by;
    if (to < 0 || to >= this.#ids.length) return;
    const ids = [...this.#ids];
    ids.splice(to, 0, ...ids.splice(from, 1));
    this.#say(`${titleOf(id)} is now ${to + 1} of ${ids.length}.`);
    this.#change(ids);
  }

  #remove(id) {
    this.#say(`${titleOf(id)} removed; ${plural(this.#ids.length - 1, "item")} left.`);
    this.#change(this.#ids.filter((other) => other !== id));
  }

  #drag(event, id) {
    if (event.button !== 0 || event.pointerType === "touch" || this.#ids.length < 2) return;
    const chip = this.#chips.get(keyOf(id));
    const start = [event.clientX, event.clientY];
    const end = new AbortController();
    const listen = { signal: end.signal };
    const move = ({ clientX: x, clientY: y }) => {
      if (!chip.classList.contains("is-dragged")) {
        if (Math.hypot(x - start[0], y - start[1]) < 6) return;
        chip.classList.add("is-dragged");
      }
      const over = document.elementFromPoint(x, y)?.closest(".chip");
      if (!over || over === chip || over.parentElement !== this.#list) return;
      const chips = [...this.#list.children];
      const after = chips.indexOf(over) > chips.indexOf(chip);
      glide(this.#list, () => over[after ? "after" : "before"](chip));
    };
    const drop = () => {
      end.abort();
      if (!chip.classList.contains("is-dragged")) return;
      chip.classList.remove("is-dragged");
      const byKey = new Map(this.#ids.map((one) => [keyOf(one), one]));
      const order = new Map([...this.#chips].map(([key, one]) => [one, byKey.get(key)]));
      const ids = [...this.#list.children].map((one) => order.get(one));
      if (ids.some((one, index) => one !== this.#ids[index])) this.#change(ids);
    };
    window.addEventListener("pointermove", move, listen);
    window.addEventListener("pointerup", drop, listen);
    window.addEventListener("pointercancel", drop, listen);
  }

  #focus() {
    const chip = document.activeElement?.closest?.(".chip");
    if (!chip || chip.parentElement !== this.#list) return null;
    const place = [...this.#list.children].indexOf(chip);
    return { element: document.activeElement, place };
  }

  #refocus(focused) {
    if (!focused) return;
    if (focused.element.isConnected) {
      focused.element.focus();
      return;
    }
    const next = this.#list.children[Math.min(focused.place, this.#ids.length - 1)];
    const part = focused.element.classList.contains("chip-grip") ? ".chip-grip" : ".chip-remove";
    (next?.querySelector(part) ?? byId("search")).focus();
  }
}
