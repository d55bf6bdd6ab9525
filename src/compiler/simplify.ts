/**
 * @file Simplifies a graph before fusion. It merges equal operations, and applies the rules of `rules.ts`, which fold constants
 * and reduce operations to the few forms that fusion supports.
 */
import { apply, type Entry, isOp, type Node, nodesOf, type Op, type Tensor, tensorKey } from "../tensor/index.js";
import { lossKey, type Operation, RULES, type Rule, type Tracing } from "./rules.js";

/**
 * Simplifies an entry; variables and inputs keep their names.
 * @param rules tried in order on each operation, and again on the result of a rule that matched
 */
export function simplify(entry: Entry, rules: readonly Rule[] = RULES): Entry {
  const nodes = nodesOf(entry);
  const rewritten = new Map<string, Tensor>();
  const known = new Map<string, readonly Tensor[]>();
  const rulesOf = new Map<Op, readonly Rule[]>();
  const lossGradients = new Map<string, Node<"linearCrossEntropyGradient">>();
  for (const node of nodes) if (isOp(node, "linearCrossEntropyGradient")) lossGradients.set(lossKey(node), node);

  const look = (tensor: Tensor) => rewritten.get(tensorKey(tensor)) as Tensor;

  const tracing: Tracing = {
    trace(op, inputs, attributes) {
      const key = keyOf(op, inputs, attributes);
      const before = known.get(key);
      if (before) return before;
      const outputs = apply(op, inputs, attributes);
      known.set(key, outputs);
      return outputs;
    },
    lossGradient: (node) => lossGradients.get(lossKey(node)),
    rewrite(tensor) {
      for (const node of nodesOf({ outputs: { tensor } })) rewriteOnce(node);
      return look(tensor);
    },
  };

  const applyRules = (operation: Operation): readonly Tensor[] => {
    let applicable = rulesOf.get(operation.op);
    if (!applicable) {
      applicable = rules.filter(({ ops }) => ops.includes(operation.op));
      rulesOf.set(operation.op, applicable);
    }
    for (const rule of applicable) {
      const result = rule.apply(operation, tracing);
      if (result !== null) return "op" in result ? applyRules(result) : result;
    }
    return tracing.trace(operation.op, operation.inputs, operation.attributes);
  };

  const rewriteOnce = (node: Node): void => {
    if (rewritten.has(`${node.id}.0`)) return;
    const { op, attributes, outputs } = node;
    const operation: Operation = { op, inputs: node.inputs.map(look), attributes, shape: outputs[0].shape, node };
    applyRules(operation).forEach((tensor, i) => {
      rewritten.set(`${node.id}.${i}`, tensor);
    });
  };
  for (const node of nodes) rewriteOnce(node);

  return {
    outputs: Object.fromEntries(Object.entries(entry.outputs).map(([name, tensor]) => [name, look(tensor)])),
    assign: (entry.assign ?? [])
      .map(([target, value]) => [look(target), look(value)] as const)
      .filter(([target, value]) => target.node !== value.node),
  };
}

function keyOf(op: Op, inputs: readonly Tensor[], attributes: object): string {
  const plain = Object.entries(attributes).map(([name, value]) =>
    value instanceof Float32Array ? `${name}:${tableId(value)}` : `${name}:${JSON.stringify(value)}`,
  );
  return `${op}(${inputs.map(tensorKey)};${plain})`;
}

const tableIds = new WeakMap<Float32Array, number>();
let tables = 0;
/** Constants are equal only if they are the same array: comparing megabytes is not worth saving one copy. */
function tableId(data: Float32Array): number {
  const id = tableIds.get(data) ?? ++tables;
  tableIds.set(data, id);
  return id;
}
