// The banner: what went wrong and what to do about it.

import { byId, element, plural } from "./elements.js";

export class Banner {
  #root;
  #handlers;
  #timer = null;

  /** `handlers`: retry(), useKey(key), startOver(). */
  constructor(root, handlers) {
    this.#root = root;
    this.#handlers = handlers;
  }

  hide() {
    clearInterval(this.#timer);
    if (this.#root.hidden) return;
    const focused = this.#root.contains(document.activeElement);
    this.#root.hidden = true;
    this.#root.replaceChildren();
    if (focused) byId("search").focus();
  }

  /** Explain an ApiError; `hasKey` tells a wrong key from a missing one. */
  show(error, { hasKey = false } = {}) {
    clearInterval(this.#timer);
    const { title, advice, action } = this.#explain(error, hasKey);
    const focused = this.#root.contains(document.activeElement);
    this.#root.dataset.status = error.status;
    this.#root.hidden = false;
    this.#root.replaceChildren(
      element(
        "div",
        { class: "banner-text" },
        element("p", { class: "banner-title", "data-testid": "banner-title" }, title),
        element("p", {}, advice),
      ),
      action,
    );
    if (focused) this.#root.querySelector("input, button").focus();
  }

  #explain({ status, title, detail, retryAfter }, hasKey) {
    if (status === 0) {
      return {
        title: "The service can’t be reached",
        advice: "Check the connection, or that the service is still running. Your picks are safe.",
        action: this.#button("Try again", this.#handlers.retry, "banner-retry"),
      };
    }
    if (status === 401 || status === 403) {
      return {
        title: hasKey ? "The service doesn’t accept this API key" : "This service asks for an API key",
        advice: "It is kept in this tab only and goes to nobody but the service.",
        action: this.#keyForm(),
      };
    }
    if (status === 422 || status === 400) {
      return {
        title: "The service can’t read this history",
        advice: `${sentence(detail || title)} Remove an item, or start over.`,
        action: this.#button("Start over", this.#handlers.startOver, "banner-start-over"),
      };
    }
    if (status === 503 || status === 429) {
      return this.#patience(status, detail, retryAfter);
    }
    return {
      title: title || "Something went wrong in the service",
      advice: `${sentence(detail || `It answered with status ${status}.`)} Trying again may help.`,
      action: this.#button("Try again", this.#handlers.retry, "banner-retry"),
    };
  }

  #patience(status, detail, retryAfter) {
    let left = Math.min(Math.max(retryAfter ?? 5, 1), 60);
    const clock = element("span", { "aria-hidden": "true" });
    const tell = () => {
      clock.textContent = ` Next try in ${plural(left, "second")}.`;
    };
    tell();
    this.#timer = setInterval(() => {
      left -= 1;
      tell();
      if (left > 0) return;
      clearInterval(this.#timer);
      this.#handlers.retry();
    }, 1000);
    const advice = element("span", {}, `${sentence(detail)} The page tries again by itself.`.trim());
    advice.append(clock);
    return {
      title: status === 503 ? "The service isn’t ready yet" : "The service is busy",
      advice,
      action: this.#button("Try now", this.#handlers.retry, "banner-retry"),
    };
  }

  #keyForm() {
    const input = element("input", {
      id: "api-key",
      class: "field",
      type: "password",
      autocomplete: "off",
      required: true,
      "data-testid": "api-key",
    });
    const submit = (event) => {
      event.preventDefault();
      this.#handlers.useKey(input.value.trim());
    };
    return element(
      "form",
      { class: "key-form", on: { submit } },
      element("label", { for: "api-key" }, "API key"),
      input,
      element("button", { class: "solid", "data-testid": "api-key-submit" }, "Use key"),
    );
  }

  #button(label, listener, testid) {
    const on = { click: () => listener() };
    return element("button", { type: "button", class: "solid", "data-testid": testid, on }, label);
  }
}

function sentence(text) {
  if (!text) return "";
  const start = text[0].toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(start) ? start : `${start}.`;
}
