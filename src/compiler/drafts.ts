/**
 * @file Drafts of kernels and the expressions between stored values. fuse.ts groups values into drafts; assemble.ts turns drafts
 * into kernels.
 */
import { isOp, type Node, type Op, outputOf, type Tensor, tensorKey } from "../tensor/index.js";
import { accessOf, type Layout, layoutOfPiece, layoutOfTranspose, type Space } from "./access.js";
import type { Access, Buffer, RowView } from "./kernels.js";
import { reductionKind } from "./reductions.js";
import { isElementwise } from "./rules.js";

/** A kernel under construction. */
export interface Draft {
  readonly id: number;
  /** The large operation; null for a loop. */
  readonly template: Node | null;
  readonly space: Space;
  /** Stored values that the loop (or epilogue) computes, in topological order. */
  readonly roots: Tensor[];
  /** Keys of the stored tensors that it reads from other drafts. */
  readonly reads: Set<string>;
  /** Drafts that must run earlier. */
  readonly after: Set<Draft>;
}

/** Terms of a sum that kernels accumulate in a variable, by key; `adds` if the variable's old value is also a term. */
export type Accumulators = ReadonlyMap<string, Accumulation>;
export interface Accumulation {
  readonly target: Tensor;
  readonly adds: boolean;
}

const LEAVES: ReadonlySet<string> = new Set(["variable", "input", "constant"]);
export const isLeaf = (node: Node) => LEAVES.has(node.op);
export const isReduction = (node: Node): node is Node<"sum" | "max"> => node.op === "sum" || node.op === "max";
const isLoop = (node: Node) => isElementwise(node.op) || node.op === "broadcast" || node.op === "literal";
const isView = (node: Node) => node.op === "reshape" || node.op === "split" || node.op === "transpose";
export const isTemplate = (node: Node) => !isLeaf(node) && !isReduction(node) && !isLoop(node) && !isView(node);

/** Operands and results that templates access with a row stride; a row is (heads × width). */
const ROW_OPERANDS: { readonly [O in Op]?: readonly number[] } = {
  attention: [0, 1, 2],
  attentionGradient: [0, 1, 2],
  rope: [0],
  cacheWrite: [1],
};
const ROW_RESULTS: { readonly [O in Op]?: readonly number[] } = { attentionGradient: [0, 1, 2], rope: [0] };

/** How a template reads an operand: whole, or as part of the rows of a larger tensor. */
export function operandOf(node: Node, i: number): { readonly source: Tensor; readonly view: RowView | null } {
  const piece = node.inputs[i];
  if (isOp(piece.node, "split") && ROW_OPERANDS[node.op]?.includes(i)) {
    const view = rowsOfHeads(piece.node, piece.output);
    if (view) return { source: storage(piece.node.inputs[0]), view };
  }
  return { source: storage(piece), view: null };
}

/** Row view of a split of (B,T,heads,D) along the heads; null for any other split. */
function rowsOfHeads(node: Node<"split">, output: number): RowView | null {
  const { shape } = node.inputs[0];
  if (shape.length !== 4 || node.attributes.axis !== 2) return null;
  return { offset: layoutOfPiece(node, output).offset, stride: shape[2] * shape[3] };
}

/** Tensors written directly into a concatenation, by key: the concatenation, and the view of its rows. */
export type Placements = ReadonlyMap<string, { readonly whole: Tensor; readonly view: RowView }>;

/** Finds template results whose only user is a concatenation; they can be written into it directly. */
export function findPlacements(nodes: readonly Node[], users: ReadonlyMap<string, readonly Node[]>): Placements {
  const placements = new Map<string, { whole: Tensor; view: RowView }>();
  for (const node of nodes) {
    if (!isOp(node, "concatenate")) continue;
    const { shape } = node.outputs[0];
    if (shape.length !== 4 || node.attributes.axis !== 2) continue;
    let offset = 0;
    for (const part of node.inputs) {
      const key = tensorKey(part);
      if (ROW_RESULTS[part.node.op]?.includes(part.output) && users.get(key)?.length === 1) {
        placements.set(key, { whole: outputOf(node), view: { offset, stride: shape[2] * shape[3] } });
      }
      offset += part.shape[2] * part.shape[3];
    }
  }
  return placements;
}
/** Whether a template can add this output to its buffer. */
export const canAccumulate = (tensor: Tensor) =>
  tensor.node.op === "matmul" ||
  tensor.node.op === "embeddingGradient" ||
  (tensor.node.op === "linearCrossEntropyGradient" && tensor.output === 2) ||
  (isOp(tensor.node, "sum") && reductionKind(tensor.node) === "column");

/** Whether an operation changes part of its first input, a variable, in place. */
export const writesInPlace = (node: Node) => node.op === "cacheWrite" || node.op === "cacheCopy";

/** The tensor whose memory this one is a view of. */
export function storage(tensor: Tensor): Tensor {
  let source = tensor;
  while (source.node.op === "reshape") source = source.node.inputs[0];
  return source;
}

export const isStrided = (node: Node) => isReduction(node) && reductionKind(node) === "strided";
export const isIndex = (tensor: Tensor) => tensor.node.op === "literal" && tensor.dtype === "i32";

/** Returns the stored tensors that a root's expression reads, each with its access. */
export function readsOf(root: Tensor, stored: ReadonlySet<string>): { tensor: Tensor; access: Access }[] {
  const reads: { tensor: Tensor; access: Access }[] = [];
  const seen = new Set<string>();
  const walk = (tensor: Tensor, shape: readonly number[], isRoot: boolean): void => {
    const key = `${tensorKey(tensor)}|${shape}|${isRoot}`;
    if (seen.has(key)) return;
    seen.add(key);
    const step = stepInto(tensor, shape, stored, isRoot);
    if (step.kind === "load") {
      reads.push({ tensor: step.source, access: accessOf(UNKNOWN, tensor.shape, shape, step.layout) });
    } else for (const [operand, space] of step.operands) walk(operand, space, false);
  };
  const { node } = root;
  if (isReduction(node)) {
    if (isStrided(node)) {
      const source = storage(node.inputs[0]);
      return [{ tensor: source, access: accessOf(UNKNOWN, source.shape, source.shape) }];
    }
    walk(node.inputs[0], node.inputs[0].shape, false);
  } else walk(root, root.shape, true);
  return reads;
}

const UNKNOWN: Buffer = { id: -1, kind: "temporary", dtype: "f32", size: 0 };

type Step =
  | { readonly kind: "load"; readonly source: Tensor; readonly layout?: Layout }
  | { readonly kind: "compute"; readonly operands: readonly (readonly [Tensor, readonly number[]])[] };

/** One step into an expression inside a loop over `shape`: whether the tensor is loaded or computed, and its operands. */
export function stepInto(tensor: Tensor, shape: readonly number[], stored: ReadonlySet<string>, isRoot: boolean): Step {
  const { node } = tensor;
  if (!isRoot && (isLeaf(node) || stored.has(tensorKey(tensor)))) return { kind: "load", source: tensor };
  if (node.op === "literal") return { kind: "compute", operands: [] };
  if (node.op === "broadcast") return { kind: "compute", operands: [[node.inputs[0], shape]] };
  if (node.op === "reshape") {
    const source = storage(tensor);
    if (isLeaf(source.node) || stored.has(tensorKey(source))) return { kind: "load", source };
    // The reshape is transparent; otherwise chooseStored would have stored its source.
    return { kind: "compute", operands: [[node.inputs[0], node.inputs[0].shape]] };
  }
  if (isOp(node, "split")) {
    return { kind: "load", source: storage(node.inputs[0]), layout: layoutOfPiece(node, tensor.output) };
  }
  if (isOp(node, "transpose")) {
    return { kind: "load", source: storage(node.inputs[0]), layout: layoutOfTranspose(node) };
  }
  return { kind: "compute", operands: node.inputs.map((x) => [x, shape] as const) };
}

/** Whether `from` depends on `to`, directly or indirectly. */
export function reaches(from: Draft, to: Draft): boolean {
  const seen = new Set<Draft>();
  const open = [from];
  while (open.length > 0) {
    const draft = open.pop() as Draft;
    if (draft === to) return true;
    if (seen.has(draft)) continue;
    seen.add(draft);
    open.push(...draft.after);
  }
  return false;
}
