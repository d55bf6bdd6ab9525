/**
 * @file What a page says about itself in JSON-LD: its entities, with the few properties that the extractor reads.
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
  /** Text of an article or a post, where the page repeats it here. */
  readonly body: string;
  readonly description: string;
}

/** Characters of one script that are parsed, entities that are kept, and how deep lists of them are followed. */
const LONGEST = 4_000_000;
const MOST_ENTITIES = 500;
const DEEPEST = 6;

/** The entities at the top of each script, in order, those of `@graph`, `mainEntity` and `itemListElement` among them. */
export function readEntities(scripts: readonly string[]): Entity[] {
  const entities: Entity[] = [];
  for (const script of scripts) {
    if (script.length > LONGEST) continue;
    const before = entities.length;
    // Some systems write the script as if it were text of the page.
    const text = script.includes('"') ? script : decodeEntities(script);
    for (const value of valuesOf(text)) visit(value, entities, 0);
    // Of what is no JSON at all only what it is about is heard.
    const type = entities.length === before ? FIRST_TYPE.exec(text)?.[1] : undefined;
    if (type !== undefined) visit({ "@type": type }, entities, 0);
  }
  return entities;
}

/** The values of a script: one where it is JSON, perhaps several where it is nearly so. */
function valuesOf(text: string): readonly unknown[] {
  try {
    return [JSON.parse(text)];
  } catch {
    return readLenientJson(text);
  }
}

/** Text as a page shows it; most systems that write JSON-LD escape it as if it were HTML. */
function decodeEntities(text: string): string {
  return /&(?:#\w+|\w+);/.test(text) ? textOf(parseTree(text.replace(/</g, "&lt;")).root) : text;
}

/** The first thing that a script which is no JSON names; in the few kilobytes at its beginning. */
const FIRST_TYPE = /^[\s\S]{0,2000}?"@type"\s*:\s*"([^"]{1,60})"/;

function visit(value: unknown, entities: Entity[], depth: number): void {
  if (depth > DEEPEST || entities.length >= MOST_ENTITIES || typeof value !== "object" || value === null) return;
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
  // Markup is read later, and its entities with it.
  if (typeof value === "string") return (value.includes("<") ? value : decodeEntities(value)).trim();
  if (Array.isArray(value) && value.length > 0) return text(value[0]);
  if (typeof value === "object" && value !== null && "@value" in value) return text(value["@value"]);
  return "";
}

function nameOf(value: unknown): string {
  if (typeof value === "string") return text(value);
  return typeof value === "object" && value !== null ? text((value as Readonly<Record<string, unknown>>).name) : "";
}
