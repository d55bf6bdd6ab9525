/**
 * @file Hashes for a program's cache key: the traced graph, and the engine's code. Programs with equal keys compile to the same
 * C, so a cached one is found without compiling its graph.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { type Entries, nodesOf, type Tensor } from "../tensor/index.js";

/** Hash of the graph of a program's entries: equal for equal traces, whatever else the process has traced. */
export function graphKey(entries: Entries): string {
  const nodes = nodesOf(...Object.values(entries));
  const numbers = new Map(nodes.map((node, i) => [node, i] as const));
  const place = ({ node, output }: Tensor) => `${numbers.get(node)}.${output}`;
  const hash = createHash("sha256");
  for (const node of nodes) hash.update(`${node.op} ${node.inputs.map(place)} ${text(node.attributes)}\n`);
  for (const [name, { outputs, assign = [], delivers }] of Object.entries(entries)) {
    const named = Object.entries(outputs).map(([output, tensor]) => [output, place(tensor)]);
    hash.update(`${JSON.stringify([name, named, assign.map((pair) => pair.map(place)), delivers])}\n`);
  }
  return hash.digest("hex");
}

/** An attribute as unambiguous text. JSON would write NaN and both infinities as null. */
function text(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : `${value}`;
  if (typeof value === "boolean") return `${value}`;
  // The gradient of a custom operation. It was already applied when the graph was traced.
  if (typeof value === "function") return "f";
  if (value instanceof Float32Array) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return createHash("sha256").update(bytes).digest("hex");
  }
  if (Array.isArray(value)) return `[${value.map(text)}]`;
  return `{${Object.entries(value as object).map(([name, of]) => `${name}:${text(of)}`)}}`;
}

const engines = new Map<string, string>();

/** Hash of the engine's own code for a backend, whose folder has its name; read once per process. */
export function engineKey(backend: string): string {
  const known = engines.get(backend);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  for (const folder of ["../tensor", "../compiler", ".", `./${backend}`, `./${backend}/templates`]) {
    const url = new URL(`${folder}/`, import.meta.url);
    if (!existsSync(url)) continue;
    for (const name of readdirSync(url)
      .filter((name) => /\.([jt]s|h|c)$/.test(name))
      .sort()) {
      hash.update(`${name}\n`).update(readFileSync(new URL(name, url)));
    }
  }
  const key = hash.digest("hex");
  engines.set(backend, key);
  return key;
}
