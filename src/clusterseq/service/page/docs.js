// Draws openapi.json for people: each operation with its parameters, body and answers.

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

class Schemas {
  constructor(document) {
    this.all = document.components?.schemas ?? {};
  }

  resolve(schema) {
    return schema?.$ref ? this.all[schema.$ref.split("/").pop()] : schema;
  }

  /** What a schema is called in one line. */
  name(schema) {
    if (schema === undefined) return "";
    if (schema.$ref) return schema.$ref.split("/").pop();
    const choices = schema.anyOf ?? schema.oneOf;
    if (choices) return [...new Set(choices.map((each) => this.name(each)))].join(" or ");
    if (schema.type === "array") return `list of ${this.name(schema.items) || "anything"}`;
    return schema.type ?? "anything";
  }

  /** Rows of a table: name, type, description, for each property. */
  rows(schema) {
    const whole = this.resolve(schema);
    const required = new Set(whole?.required ?? []);
    return Object.entries(whole?.properties ?? {}).map(([name, property]) =>
      row(name, this.name(property) + (required.has(name) ? ", required" : ""), property),
    );
  }
}

function row(name, type, { description = "", default: start }) {
  const told = start === undefined || start === null ? "" : ` Without it: ${JSON.stringify(start)}.`;
  return element(
    "tr",
    {},
    element("td", {}, element("code", { textContent: name })),
    element("td", { textContent: type }),
    element("td", { textContent: description + told }),
  );
}

function table(title, rows) {
  return rows.length ? [element("h3", { textContent: title }), element("table", {}, ...rows)] : [];
}

function bodyOf(operation, schemas) {
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  if (!schema) return [];
  const kinds = schema.anyOf ?? schema.oneOf ?? [schema];
  return kinds.flatMap((each) => table(`Body: ${schemas.name(each)}`, schemas.rows(each)));
}

function answersOf(operation, schemas) {
  const [status, answer] = Object.entries(operation.responses ?? {}).find(([s]) => s < 300) ?? [];
  const schema = answer?.content?.["application/json"]?.schema;
  const shown = schema ? table(`Answer ${status}: ${schemas.name(schema)}`, schemas.rows(schema)) : [];
  const problems = Object.entries(operation.responses ?? {})
    .filter(([other]) => other >= 400)
    .map(([other, { description }]) => row(other, "problem", { description }));
  return [...shown, ...table("Problems", problems)];
}

function section(path, method, operation, schemas) {
  const heading = element(
    "h2",
    {},
    element("span", { className: "method", textContent: method.toUpperCase() }),
    element("code", { textContent: path }),
  );
  const parameters = (operation.parameters ?? []).map((each) =>
    row(each.name, `${schemas.name(each.schema)}, in the ${each.in}`, {
      description: each.description,
      default: each.schema?.default,
    }),
  );
  const scopes = (operation.security ?? []).flatMap((way) => Object.values(way).flat());
  const needed = [...new Set(scopes)].map((scope) => `Needs an API key of the scope ${scope}.`);
  const told = [...(operation.description ?? "").split("\n\n"), ...needed];
  return element(
    "section",
    { id: operation.operationId },
    heading,
    ...told.map((text) => element("p", { textContent: text })),
    ...table("Parameters", parameters),
    ...bodyOf(operation, schemas),
    ...answersOf(operation, schemas),
  );
}

function draw(openapi) {
  const schemas = new Schemas(openapi);
  const operations = document.querySelector("#operations");
  const contents = document.querySelector("#contents");
  document.querySelector("#about").textContent = openapi.info.description ?? "";
  operations.replaceChildren();
  for (const [path, methods] of Object.entries(openapi.paths)) {
    for (const method of METHODS.filter((each) => methods[each])) {
      const operation = methods[method];
      operations.append(section(path, method, operation, schemas));
      const link = element("a", {
        href: `#${operation.operationId}`,
        textContent: `${method.toUpperCase()} ${path}`,
      });
      contents.append(element("li", {}, link));
    }
  }
}

try {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  draw(await answer.json());
} catch (error) {
  document.querySelector("#operations").textContent =
    `The document could not be read (${error.message}); is the service running?`;
}
