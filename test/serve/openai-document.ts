/** @file Validates responses against OpenAI's published API description (test/oracle/openai_schemas.mjs made the extract). */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

const fixture = new URL("../oracle/fixtures/openai-schemas.json.gz", import.meta.url);
type Json = { readonly [key: string]: unknown };
// biome-ignore lint/suspicious/noExplicitAny: a part of the document
type Part = any;

/** The document says `nullable`, a keyword of OpenAPI 3.0 that JSON Schema 2020 does not know. */
function repaired(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(repaired);
  if (typeof node !== "object" || node === null) return node;
  const { nullable, ...rest } = node as Json;
  const kept = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, repaired(value)]));
  return nullable === true
    ? { anyOf: [kept, { type: "null" }] }
    : nullable === undefined
      ? kept
      : { ...kept, nullable };
}

/** The schema of a chunk of a streamed completion. */
export const COMPLETION_CHUNK = "CreateCompletionChunk";

/**
 * The document describes a streamed completion by the schema of a whole one, in which every choice has the reason why it ended. No
 * server that streams can meet it: a choice has a reason in its last chunk only. The document's own example of a stream (POST
 * /completions, "Streaming") has null there, which is what OpenAI's server and this one send.
 */
function withChunks(document: Json): Json {
  const { schemas } = document.components as { readonly schemas: Readonly<Record<string, Json>> };
  const chunk = structuredClone(schemas.CreateCompletionResponse) as Part;
  const { finish_reason: reason } = chunk.properties.choices.items.properties;
  chunk.properties.choices.items.properties.finish_reason = { anyOf: [reason, { type: "null" }] };
  return { ...document, components: { schemas: { ...schemas, [COMPLETION_CHUNK]: chunk } } };
}

const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
const document = repaired(JSON.parse(gunzipSync(readFileSync(fixture)).toString("utf8"))) as Json;
ajv.addSchema(withChunks(document), "openai");

const compiled = new Map<string, ValidateFunction>();

/** Returns what is wrong with a response; empty if it fits the schema of this name. */
export function problemsOf(name: string, value: unknown): string[] {
  let validate = compiled.get(name);
  if (validate === undefined) {
    validate = ajv.compile({ $ref: `openai#/components/schemas/${name}` });
    compiled.set(name, validate);
  }
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath}: ${message}`);
}
