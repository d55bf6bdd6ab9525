/** @file Entry points of a program: sets of outputs and of assignments to variables. */
import type { Node, Tensor } from "./tensor.js";

/**
 * An entry point of a program. A run computes all values from the variables as they are at its start; then the assignments
 * take effect. The entry points of a program share variables by tensor identity.
 */
export interface Entry {
  /** Values to read after a run, by name. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Variables and their new values. */
  readonly assign?: readonly (readonly [variable: Tensor, value: Tensor])[];
  /** Variables that the caller gets while the entry still runs. */
  readonly delivers?: Delivery;
}

/** Cuts an entry into portions that run one after the other; after each, the caller gets the variables that it finished. */
export interface Delivery {
  /** Names of variables that the entry assigns. */
  readonly variables: readonly string[];
  /** How many portions, with about equally many bytes of these variables. */
  readonly portions: number;
  /**
   * Whether the variables exist only during the run: their memory is part of the arena, and is used again when the portion after
   * the one that finished them has run. No other entry can use them.
   */
  readonly transient: boolean;
}

export type Entries = Readonly<Record<string, Entry>>;

/** Returns all nodes that the entries need, inputs before their users. */
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
