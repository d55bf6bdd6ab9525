/**
 * @file Reads the JSON-LD metadata of a page: its entities, with the few properties that the extractor uses.
 * https://www.w3.org/TR/json-ld11/, https://schema.org
 */
import { readLenientJson } from "./lenient-json.js";
import { textOf } from "./node.js";
import { parseTree } from "./tree.js";

export interface Entity {
  readonly types: readonly string[];
  readonly headline: string;
  readonly author: string;
  readonly date: string;
  readonly language: string;
  readonly url: string;
  /** Text of the article or post, if given. */
  readonly body: string;
  readonly description: string;
}

/** Maximum characters of a script; longer ones are not parsed. */
const LONGEST = 4_000_000;
const MAX_ENTITIES = 500;
/** Maximum nesting of entities. */
const MAX_DEPTH = 6;

/** Returns the top-level entities of each script, in order, including those in `@graph`, `mainEntity` and `mainEntityOfPage`. */
export function readEntities(scripts: readonly string[]): Entity[] {
  const entities: Entity[] = [];
  for (const script of scripts) {
    if (script.length > LONGEST) continue;
    const before = entities.length;
    // Some systems escape the script's quotes as HTML entities.
    const text = script.includes('"') ? script : decodeEntities(script);
    for (const value of valuesOf(text)) visit(value, entities, 0);
    // If no JSON can be read at all, at least use the declared type.
    const type = entities.length === before ? FIRST_TYPE.exec(text)?.[1] : undefined;
    if (type !== undefined) visit({ "@type": type }, entities, 0);
  }
  return entities;
}

/** Returns the values of a script: one if it is valid JSON, possibly several if it is malformed. */
function valuesOf(text: string): readonly unknown[] {
  try {
    return [JSON.parse(text)];
  } catch {
    return readLenientJson(text);
  }
}

/** Decodes HTML entities; most systems that write JSON-LD escape its text as HTML. */
function decodeEntities(text: string): string {
  return /&(?:#\w+|\w+);/.test(text) ? textOf(parseTree(text.replace(/</g, "&lt;")).root) : text;
}

/** The first declared type of a script that is not JSON, within its first 2,000 characters. */
const FIRST_TYPE = /^[\s\S]{0,2000}?"@type"\s*:\s*"([^"]{1,60})"/;

function visit(value: unknown, entities: Entity[], depth: number): void {
  if (depth > MAX_DEPTH || entities.length >= MAX_ENTITIES || typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) visit(item, entities, depth + 1);
    return;
  }
  const record = value as Readonly<Record<string, unknown>>;
  const types = list(record["@type"]).filter((type): type is string => typeof type === "string");
  if (types.length > 0) {
    entities.push({
      types: types.map((type) => type.replace(/^.*[/#:]/, "")),
      headline: text(record.headline) || text(record.name),
      author: list(record.author)
        .map(nameOf)
        .filter((name) => name !== "")
        .join(", "),
      date: text(record.datePublished) || text(record.dateCreated) || text(record.uploadDate),
      language: text(record.inLanguage),
      url: text(record.url) || text(record["@id"]),
      body: text(record.articleBody) || text(record.text),
      description: text(record.description),
    });
  }
  for (const key of ["@graph", "mainEntity", "mainEntityOfPage"]) visit(record[key], entities, depth + 1);
}

const list = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === undefined ? [] : [value];

function text(value: unknown): string {
  // Entities in markup are decoded later, when the markup is parsed.
  if (typeof value === "string") return (value.includes("<") ? value : decodeEntities(value)).trim();
  if (Array.isArray(value) && value.length > 0) return text(value[0]);
  if (typeof value === "object" && value !== null && "@value" in value) return text(value["@value"]);
  return "";
}

function nameOf(value: unknown): string {
  if (typeof value === "string") return text(value);
  return typeof value === "object" && value !== null ? text((value as Readonly<Record<string, unknown>>).name) : "";
}
