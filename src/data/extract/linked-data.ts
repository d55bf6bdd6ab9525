/**
 * @file What a page says about itself in JSON-LD: its entities, with the few properties that the extractor reads.
 * https://www.w3.org/TR/json-ld11/, https://schema.org
 */

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
    const value = parse(script);
    if (value !== undefined) visit(value, entities, 0);
  }
  return entities;
}

function parse(script: string): unknown {
  const text = script
    .replace(/^\s*(?:<!--|\/\*<!\[CDATA\[\*\/|<!\[CDATA\[|\/\/\s*<!\[CDATA\[)/, "")
    .replace(/(?:-->|\/\*\]\]>\*\/|\/\/\s*\]\]>|\]\]>)\s*;?\s*$/, "")
    .trim();
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // Line ends inside strings are the usual fault; of anything else only what it is about is heard.
    try {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is wrong
      return JSON.parse(text.replace(/[\u0000-\u001f]+/g, " "));
    } catch {
      const type = FIRST_TYPE.exec(text)?.[1];
      return type === undefined ? undefined : { "@type": type };
    }
  }
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
  if (typeof value === "string") return value.trim();
  if (Array.isArray(value) && value.length > 0) return text(value[0]);
  if (typeof value === "object" && value !== null && "@value" in value) return text(value["@value"]);
  return "";
}

function nameOf(value: unknown): string {
  if (typeof value === "string") return value.trim();
  return typeof value === "object" && value !== null ? text((value as Readonly<Record<string, unknown>>).name) : "";
}
