/** @file The filters `format_span` and `regex_pos` of lm-eval, for named entities and parts of speech. */
import { PythonRegex } from "./python-regex.js";
import { strip } from "./python-text.js";

/** Labels of entities that models write, in the order in which they are replaced. */
const LABELS: readonly (readonly [word: string, label: string])[] = [
  ["person", "PER"],
  ["location", "LOC"],
  ["organization", "ORG"],
  ["counties", "LOC"],
  ["places", "LOC"],
  ["people", "PER"],
  ["persons", "PER"],
  ["company", "ORG"],
  ["country", "LOC"],
  ["continent", "LOC"],
  ["time", "DATE"],
  ["date", "DATE"],
  ["per", "PER"],
  ["loc", "LOC"],
  ["org", "ORG"],
];

const REPLACED = LABELS.map(([word, label]) => [new PythonRegex(`\\b${word}\\s*:`), `${label}:`] as const);
const ENTITIES = new PythonRegex("\\b(PER|LOC|ORG|DATE):\\s*([^$]+)");
const TAGS = new PythonRegex("\\('([^']*)', '([^']*)'\\)");

/** Returns entities as `per: ada $ loc: nairobi`, one part per entity, without those called none. */
export function formatSpan(response: string): string {
  let text = response.toLowerCase();
  for (const [regex, label] of REPLACED) text = regex.sub(label, text);
  text = text.split("$$").join("$").replace(/\$+$/, "");
  const parts: string[] = [];
  for (const [label, values] of ENTITIES.findAll(strip(text.replaceAll("\n", "$"))) as string[][]) {
    for (const entity of values!.split(",").map(strip)) {
      if (entity.toLowerCase() !== "none") parts.push(`${label!.toLowerCase()}: ${entity}`);
    }
  }
  return parts.join(" $ ");
}

/** Returns the tags of `[('the', 'DET'), …]`, or `fallback` if there are none. */
export function tagsOf(response: string, fallback: unknown): unknown {
  const tags = (TAGS.findAll(response) as string[][]).map(([, tag]) => tag!);
  return tags.length > 0 ? tags : fallback;
}
