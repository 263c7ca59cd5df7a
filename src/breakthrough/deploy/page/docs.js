"use strict";
// Renders /openapi.json of the service that the page came from.
const at = (id) => document.getElementById(id);
function node(tag, text, ...inside) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...inside);
  return made;
}

function typed(schema) {
  if (schema.$ref) { const link = node("a", schema.$ref.split("/").pop()); link.href = `#${link.textContent}`; return link; }
  if (schema.type === "array") return node("span", "list of ", typed(schema.items || {}));
  if (schema.type === "object" && schema.additionalProperties) return node("span", "map of ", typed(schema.additionalProperties));
  const range = schema.minimum !== undefined ? `, ${schema.minimum}${schema.maximum !== undefined ? " to " + schema.maximum : " or more"}` : "";
  return node("span", `${schema.type || "any"}${schema.format ? " (" + schema.format + ")" : ""}${range}`);
}

function table(head, rows) {
  const cells = (tag, row) => node("tr", "", ...row.map((cell) => node(tag, "", cell)));
  return node("table", "", node("thead", "", cells("th", head)), node("tbody", "", ...rows.map((row) => cells("td", row))));
}

function contents(content) {
  return Object.entries(content).map(([kind, { schema }]) => [node("code", kind), typed(schema), schema.description || ""]);
}

function operation(path, method, does) {
  const verb = node("span", method.toUpperCase());
  verb.className = "method";
  const made = node("section", "", node("h3", "", verb, " ", node("code", path)), node("p", does.summary));
  if (does.requestBody) made.append(node("p", does.requestBody.description), table(["body", "type", ""], contents(does.requestBody.content)));
  const answers = Object.entries(does.responses).map(([status, { description, content }]) => [status, description, typed(Object.values(content)[0].schema)]);
  made.append(table(["status", "when", "type"], answers));
  return made;
}

function type(name, schema) {
  const fields = Object.entries(schema.properties || {}).map(([field, its]) => [node("code", field), typed(its), its.description || ""]);
  const made = node("section", "", node("h3", name), node("p", schema.description || ""), table(["field", "type", ""], fields));
  made.id = name;
  return made;
}

async function main() {
  const api = await (await fetch("/openapi.json")).json(), here = location.origin;
  at("examples").textContent = `curl --data-binary @part.png ${here}/v1/inspect\ncurl -H 'content-type: application/octet-stream' --data-binary @part.f32 ${here}/v1/inspect\ncurl -H 'content-type: application/json' --data @part.json ${here}/v1/inspect`;
  for (const [path, methods] of Object.entries(api.paths)) for (const [method, does] of Object.entries(methods)) at("paths").append(operation(path, method, does));
  for (const [name, schema] of Object.entries(api.components.schemas)) at("types").append(type(name, schema));
}

main();
