/** @file Assembles the values of nested columns from their levels (Melnik et al. 2010, "Dremel", section 4). */
import { MOST_NESTED_VALUES } from "../limits.js";
import type { ReadAt, RowGroup, SchemaNode } from "./metadata.js";
import { pagesOf } from "./pages.js";

/** Returns the values of a nested column in a row group, one per row. @throws Error if any of its pages is damaged */
export async function nestedValues(
  readAt: ReadAt,
  group: RowGroup,
  node: SchemaNode,
  isStrict: (leaf: SchemaNode) => boolean,
): Promise<unknown[]> {
  const columns = new Map<SchemaNode, Entries>();
  for (const leaf of leavesOf(node)) {
    const chunk = group.columns[leaf.column];
    if (chunk === undefined) throw new Error("its place in the file is wrong");
    if (chunk.values > MOST_NESTED_VALUES) {
      throw new Error(`it has ${chunk.values} values in a row group; up to ${MOST_NESTED_VALUES} are read`);
    }
    const entries = new Entries(leaf);
    for await (const page of pagesOf(readAt, chunk, leaf, isStrict(leaf))) {
      if ("damage" in page) throw new Error(page.damage);
      entries.add(page.count, page.definitions, page.repetitions, page.values);
    }
    columns.set(leaf, entries);
  }
  const of = (leaf: SchemaNode) => columns.get(leaf) as Entries;
  const first = of(leavesOf(node)[0]);
  const values: unknown[] = [];
  while (!first.done) values.push(readNode(node, of));
  return values;
}

export function leavesOf(node: SchemaNode): readonly SchemaNode[] {
  return node.children.length === 0 ? [node] : node.children.flatMap(leavesOf);
}

/** The levels and values of a leaf, with the reading position. */
class Entries {
  readonly #most: number;
  readonly #definitions: number[] = [];
  readonly #repetitions: number[] = [];
  readonly #values: unknown[] = [];
  #at = 0;
  #value = 0;

  constructor(leaf: SchemaNode) {
    this.#most = leaf.definition;
  }

  add(
    count: number,
    definitions: Uint32Array | undefined,
    repetitions: Uint32Array | undefined,
    values: readonly unknown[],
  ): void {
    for (let i = 0; i < count; i++) {
      this.#definitions.push(definitions === undefined ? this.#most : definitions[i]);
      this.#repetitions.push(repetitions === undefined ? 0 : repetitions[i]);
    }
    for (const value of values) this.#values.push(value);
  }

  get done(): boolean {
    return this.#at >= this.#definitions.length;
  }

  get definition(): number {
    if (this.done) throw new Error("its levels are inconsistent");
    return this.#definitions[this.#at];
  }

  get repetition(): number {
    return this.#repetitions[this.#at];
  }

  /** Returns the current value, undefined if there is none, and advances. */
  next(): unknown {
    const value = this.definition === this.#most ? this.#values[this.#value++] : undefined;
    this.#at += 1;
    return value;
  }
}

type EntriesOf = (leaf: SchemaNode) => Entries;

function readNode(node: SchemaNode, of: EntriesOf): unknown {
  const leaves = leavesOf(node);
  const first = of(leaves[0]);
  const there = first.definition >= node.definition;
  if (!there) for (const leaf of leaves) of(leaf).next();
  if (node.repetition !== "repeated") return there ? readBody(node, of) : null;
  const list: unknown[] = [];
  if (there) {
    do list.push(readBody(node, of));
    while (!first.done && first.repetition === node.repeats);
  }
  return list;
}

function readBody(node: SchemaNode, of: EntriesOf): unknown {
  const { children, meaning } = node;
  if (children.length === 0) return of(node).next() ?? null;
  const [inner] = children;
  const wraps = children.length === 1 && inner.repetition === "repeated";
  if (wraps && meaning?.kind === "list") {
    const list = readNode(inner, of) as unknown[];
    // Usually each element is wrapped in a group.
    if (inner.children.length !== 1) return list;
    const { name } = inner.children[0];
    return list.map((element) => (element as Record<string, unknown>)[name]);
  }
  if (wraps && meaning?.kind === "map" && inner.children.length === 2) {
    const [key, value] = inner.children;
    const pairs = readNode(inner, of) as Record<string, unknown>[];
    return Object.fromEntries(pairs.map((pair) => [String(pair[key.name]), pair[value.name]]));
  }
  return Object.fromEntries(children.map((child) => [child.name, readNode(child, of)]));
}
