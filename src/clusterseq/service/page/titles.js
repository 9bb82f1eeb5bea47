// What items are called: every answer teaches some titles, a shared link may ask for the rest.

const known = new Map();

/** An id as a key, in which the string "12" and the number 12 differ. */
export const keyOf = (id) => `${typeof id}:${id}`;

/** Remember the titles among these entries. */
export function learn(entries) {
  for (const entry of entries) {
    if (entry?.title) known.set(keyOf(entry.item), entry.title);
  }
}

/** The title, or the id where there is none. */
export function titleOf(id) {
  return known.get(keyOf(id)) ?? String(id);
}

/** Ask the service for the titles of these ids that no answer has told. */
export async function lookUp(api, ids) {
  const missing = ids.filter((id) => !known.has(keyOf(id)));
  await Promise.all(
    missing.map(async (id) => {
      const { items } = await api.items({ query: String(id), limit: 2 }); // 12 and "12" are two
      const entry = items.find(({ item }) => item === id);
      known.set(keyOf(id), entry?.title ?? String(id));
    }),
  );
}
