// Elements, numbers and motion: what every part of the page needs and no more.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** A new element: attributes by name, `on` for listeners, then its children. */
export function element(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function shape(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(node, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  for (const [name, listener] of Object.entries(on)) node.addEventListener(name, listener);
  node.append(...children.filter((child) => child != null));
  return node;
}

const whole = new Intl.NumberFormat("en");
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });

export const count = (n) => whole.format(n);
export const share = (x) => (x > 0 && x < 0.01 ? "< 1%" : percent.format(x));
export const score = (x) => {
  const size = Math.abs(x);
  return size > 0 && size < 0.01 ? x.toPrecision(2) : x.toFixed(size < 10 ? 3 : 1);
};
export const milliseconds = (x) => `${x < 10 ? x.toFixed(1) : whole.format(Math.round(x))} ms`;
export const plural = (n, one, many = `${one}s`) => `${whole.format(n)} ${n === 1 ? one : many}`;

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Whether things may move. */
export const mayMove = () => !still.matches;

/** Run `change` and let the children of `list` glide from where they were. */
export function glide(list, change) {
  const before = new Map([...list.children].map((child) => [child, child.getBoundingClientRect()]));
  change();
  if (!mayMove() || !before.size) return;
  const ease = { duration: 380, easing: "cubic-bezier(.2, .75, .25, 1)" };
  for (const child of list.children) {
    const old = before.get(child);
    if (!old) {
      child.animate([{ opacity: 0, transform: "translateY(10px)" }, { opacity: 1 }], ease);
      continue;
    }
    const now = child.getBoundingClientRect();
    const [x, y] = [old.left - now.left, old.top - now.top];
    if (x || y) child.animate([{ transform: `translate(${x}px, ${y}px)` }, {}], ease);
  }
}

/** Title with a closing parenthesis, such as a year, set apart. */
export function titleParts(title) {
  const match = /^(.+?)(\s\([^()]{1,12}\))$/.exec(title);
  return match ? [match[1], element("span", { class: "aside" }, match[2])] : [title];
}
