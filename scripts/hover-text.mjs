/**
 * @file A step of the build: copies the description of each option from its schema into the .d.ts files, where editors show
 * it. Types are derived from schemas, but descriptions are run-time values that the compiler does not carry over.
 *
 *     node scripts/hover-text.mjs BUILD
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";

const HEAD = /^export declare const (\w+): z\.ZodObject<\{$/;

/** Returns a file's declarations with a comment before each option of its schemas. */
export function withHoverText(declarations, schemas) {
  let properties = null;
  return declarations
    .split("\n")
    .flatMap((line) => {
      const head = HEAD.exec(line);
      if (head !== null) properties = propertiesOf(schemas[head[1]]);
      else if (line.startsWith("}")) properties = null;
      const key = properties === null ? undefined : /^ {4}(\w+): /.exec(line)?.[1];
      const text = key === undefined ? "" : textOf(properties[key]);
      return text === "" ? [line] : [`    /** ${text} */`, line];
    })
    .join("\n");
}

function propertiesOf(schema) {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }).properties ?? {};
}

function textOf({ description, default: fallback } = {}) {
  if (description === undefined) return "";
  const sentence = `${description[0].toUpperCase()}${description.slice(1)}`.replaceAll("*/", "*\\/");
  const known = fallback === undefined || /\bdefault\b/.test(description) || JSON.stringify(fallback).length > 40;
  return known ? `${sentence}.` : `${sentence}. Default \`${JSON.stringify(fallback)}\`.`;
}

if (process.argv[1] === import.meta.filename) {
  const source = join(resolve(process.argv[2]), "src");
  for (const name of readdirSync(source, { recursive: true })) {
    if (!name.endsWith(".d.ts")) continue;
    const path = join(source, name);
    const text = readFileSync(path, "utf8");
    if (!text.split("\n").some((line) => HEAD.test(line))) continue;
    writeFileSync(path, withHoverText(text, await import(pathToFileURL(path.replace(/\.d\.ts$/, ".js")).href)));
  }
}
