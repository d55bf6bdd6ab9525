/**
 * Extracts the schemas of OpenAI's responses from its published API description (openai/openai-openapi, MIT), with all that they refer
 * to and without descriptions:
 *
 *     node test/oracle/openai_schemas.mjs ../shared/data/openai/openapi.json.gz test/oracle/fixtures/openai-schemas.json.gz
 */
import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";

const WANTED = [
  ...["CreateChatCompletionResponse", "CreateChatCompletionStreamResponse", "CreateCompletionResponse"],
  ...["CreateEmbeddingResponse", "ListModelsResponse", "Model", "ErrorResponse", "Response", "ResponseStreamEvent"],
];
const DROPPED = new Set([
  "description",
  "example",
  "title",
  "x-oaiMeta",
  "x-oaiTypeLabel",
  "x-stainless-const",
  "deprecated",
]);

const [from, to] = process.argv.slice(2);
const { components, info } = JSON.parse(gunzipSync(readFileSync(from)));
const schemas = {};

/** Keys of `properties` are names, which may be those of keywords. */
function stripped(node, isNames = false) {
  if (Array.isArray(node)) return node.map((each) => stripped(each));
  if (typeof node !== "object" || node === null) return node;
  if (typeof node.$ref === "string") add(node.$ref.split("/").at(-1));
  return Object.fromEntries(
    Object.entries(node)
      .filter(([key]) => isNames || !DROPPED.has(key))
      .map(([key, value]) => [key, stripped(value, !isNames && key === "properties")]),
  );
}

function add(name) {
  if (name in schemas) return;
  schemas[name] = null;
  schemas[name] = stripped(components.schemas[name]);
}

for (const name of WANTED) add(name);
const document = { origin: `openai/openai-openapi ${info.version}, MIT`, components: { schemas } };
writeFileSync(to, gzipSync(JSON.stringify(document), { level: 9 }));
console.log(Object.keys(schemas).length, "schemas");
