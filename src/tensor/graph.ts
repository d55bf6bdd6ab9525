/** @file What a program is made of: entry points, each a set of outputs and of assignments to variables. */
import type { Node, Tensor } from "./tensor.js";

/**
 * One entry point of a program. All values are computed from the variables as they were when the run began; then the
 * assignments take effect. Entry points of one program share variables by identity of their tensors.
 */
export interface Entry {
  /** Values to read after a run, by name. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Variables and the values they take. */
  readonly assign?: readonly (readonly [variable: Tensor, value: Tensor])[];
}

export type Entries = Readonly<Record<string, Entry>>;

/** Every node that the entries need, inputs before users. */
export function nodesOf(...entries: readonly Entry[]): Node[] {
  const seen = new Set<Node>();
  const stack = entries.flatMap(({ outputs, assign = [] }) =>
    [...Object.values(outputs), ...assign.flat()].map((tensor) => tensor.node),
  );
  while (stack.length > 0) {
    const node = stack.pop() as Node;
    if (seen.has(node)) continue;
    seen.add(node);
    for (const x of node.inputs) stack.push(x.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}
