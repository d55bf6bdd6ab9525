/** @file A JSON Schema document: its subschemas, their base addresses, and what their references lead to. */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";

export type SchemaObject = { readonly [keyword: string]: unknown };
export type Schema = boolean | SchemaObject;

/** The base of documents that give themselves no address. */
const ROOT = "json-schema:///";

/** Deepest nesting of a schema's JSON text. */
const MAX_DEPTH = 1000;
const MAPS = new Set(["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"]);
/** Keywords whose value is data, not schemas. */
const DATA = new Set(["enum", "const", "default", "examples", "example"]);

export function isObject(value: unknown): value is SchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A schema is refused: the message names the keyword. Exit code 2. */
export function refuse(what: string): QuernError {
  return new QuernError(`the JSON Schema ${what}`, { exitCode: 2 });
}

export class SchemaDocument {
  readonly root: Schema;
  readonly #bases = new Map<SchemaObject, string>();
  /** Schemas by their absolute address. */
  readonly #byAddress = new Map<string, Schema>();
  readonly #dynamicAnchors = new Map<string, SchemaObject[]>();

  /** @throws QuernError if the schema is neither an object nor a boolean */
  constructor(schema: unknown) {
    if (typeof schema !== "boolean" && !isObject(schema))
      throw refuse(
        `is ${schema === null ? "null" : Array.isArray(schema) ? "an array" : `a ${typeof schema}`}; give an object or a boolean`,
      );
    this.root = schema;
    this.#byAddress.set(ROOT, schema);
    this.#visit(schema, ROOT);
  }

  #visit(value: unknown, base: string, depth = 0): void {
    if (depth > MAX_DEPTH) throw refuse(`nests over ${MAX_DEPTH} levels deep; make it flatter, for example by $ref`);
    if (Array.isArray(value)) for (const item of value) this.#visit(item, base, depth + 1);
    if (!isObject(value) || this.#bases.has(value)) return;
    let own = base;
    for (const key of ["$id", "id"]) {
      const id = value[key];
      if (typeof id !== "string") continue;
      const address = resolved(id, base);
      if (address === undefined) continue;
      if (!this.#byAddress.has(address)) this.#byAddress.set(address, value);
      if (!id.startsWith("#")) own = withoutFragment(address);
      if (!this.#byAddress.has(own)) this.#byAddress.set(own, value);
    }
    this.#bases.set(value, own);
    for (const key of ["$anchor", "$dynamicAnchor"]) {
      const anchor = value[key];
      if (typeof anchor !== "string") continue;
      this.#byAddress.set(`${own}#${anchor}`, value);
      if (key === "$dynamicAnchor")
        this.#dynamicAnchors.set(anchor, [...(this.#dynamicAnchors.get(anchor) ?? []), value]);
    }
    for (const [keyword, child] of Object.entries(value)) {
      if (DATA.has(keyword)) continue;
      if (MAPS.has(keyword) && isObject(child))
        for (const item of Object.values(child)) this.#visit(item, own, depth + 2);
      else this.#visit(child, own, depth + 1);
    }
  }

  /** The schema that a reference in `from` leads to. */
  resolve(reference: unknown, from: SchemaObject): Schema {
    if (typeof reference !== "string")
      throw refuse("has a $ref that is no string; give an address such as #/$defs/name");
    const base = this.#bases.get(from) ?? ROOT;
    const found = this.#find(reference, base) ?? (reference.startsWith("#") ? this.#find(reference, ROOT) : undefined);
    if (found === undefined)
      throw refuse(`has a $ref to "${quoted(reference)}", which is not in the document; add it under $defs`);
    return found;
  }

  /** The target of `$dynamicRef`: the one schema with this `$dynamicAnchor`, else as `$ref`. */
  resolveDynamic(reference: unknown, from: SchemaObject): Schema {
    const anchors = typeof reference === "string" ? this.#dynamicAnchors.get(reference.replace(/^.*#/, "")) : undefined;
    if (anchors !== undefined && anchors.length > 1)
      throw refuse(`has a $dynamicRef to "${quoted(String(reference))}", which several schemas define; use $ref`);
    return anchors?.[0] ?? this.resolve(reference, from);
  }

  /** The JSON Pointer of a schema, such as `#/properties/a`; undefined if it is not in the document. */
  placeOf(schema: Schema): string | undefined {
    const find = (value: unknown, path: string): string | undefined => {
      if (value === schema && isObject(value)) return path;
      if (typeof value !== "object" || value === null) return undefined;
      for (const [key, child] of Object.entries(value)) {
        const found = find(child, `${path}/${key.replace(/~/g, "~0").replace(/\//g, "~1")}`);
        if (found !== undefined) return found;
      }
      return undefined;
    };
    return find(this.root, "#");
  }

  #find(reference: string, base: string): Schema | undefined {
    const address = resolved(reference, base);
    if (address === undefined) return undefined;
    const known = this.#byAddress.get(address) ?? this.#byAddress.get(address.replace(/#$/, ""));
    if (known !== undefined) return known;
    const hash = address.indexOf("#");
    const fragment = hash < 0 ? "" : address.slice(hash + 1);
    const document = this.#byAddress.get(withoutFragment(address));
    if (document === undefined || !(fragment === "" || fragment.startsWith("/"))) return undefined;
    return this.#pointed(document, fragment, address);
  }

  /** Follows a JSON Pointer. */
  #pointed(document: Schema, pointer: string, address: string): Schema | undefined {
    let value: unknown = document;
    for (const part of pointer.split("/").slice(1)) {
      const key = decoded(part).replace(/~1/g, "/").replace(/~0/g, "~");
      if (Array.isArray(value)) value = value[Number(key)];
      else if (isObject(value) && Object.hasOwn(value, key)) value = value[key];
      else return undefined;
    }
    if (typeof value !== "boolean" && !isObject(value)) return undefined;
    if (isObject(value)) this.#visit(value, withoutFragment(address));
    return value;
  }
}

function withoutFragment(address: string): string {
  return address.replace(/#.*$/s, "");
}

function resolved(reference: string, base: string): string | undefined {
  if (reference.startsWith("#")) return withoutFragment(base) + reference;
  try {
    return new URL(reference, base).href;
  } catch {
    return undefined;
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
