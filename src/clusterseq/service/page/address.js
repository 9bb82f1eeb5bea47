// The page's address: history and steps in the hash, so that a link shows the same ranking.
//
// `#history=0054890,1408101&steps=1` holds the strings "0054890" and "1408101"; integers carry a
// tilde, `#history=~12,~15`, so that an id keeps its type.

/** What a hash holds; `steps` is null for all of them. */
export function parse(hash) {
  const fields = new Map(
    hash.replace(/^#/, "").split("&").map((field) => {
      const [name, value = ""] = field.split("=");
      return [name, value];
    }),
  );
  const history = (fields.get("history") ?? "").split(",").filter(Boolean).map(decode);
  const steps = fields.get("steps") ?? "";
  return { history: distinct(history), steps: /^\d+$/.test(steps) ? Number(steps) : null };
}

/** The hash for a history; empty without one. */
export function format({ history, steps }) {
  if (!history.length) return "";
  return `#history=${history.map(encode).join(",")}${steps === null ? "" : `&steps=${steps}`}`;
}

function encode(id) {
  return typeof id === "number" ? `~${id}` : encodeURIComponent(id).replaceAll("~", "%7E");
}

function decode(token) {
  if (/^~-?\d+$/.test(token)) return Number(token.slice(1));
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}

function distinct(history) {
  return [...new Set(history)];
}
