/**
 * @file Partitions a simplified graph into kernels.
 *
 * 1. Decide which values are *stored* in memory: operands and results of large operations, reductions, outputs,
 * assigned values, and values cheaper to load than to recompute. All others are computed where they are used. 2. Walk
 * the stored values in order. A large operation becomes a kernel. Any other value joins a kernel over the same rows and
 * columns that already computes or reads one of its inputs, or starts a new kernel. In a matrix product, such values
 * form the epilogue. Joining must not create a dependency cycle. 3. Assigned values are written directly to their
 * variables if no later kernel needs the old value. Kernels that compute
 *    gradients add them to the accumulator directly.
 */
import {
  type Entry,
  type Node,
  nodesOf,
  outputOf,
  sameShape,
  sizeOf,
  type Tensor,
  tensorKey,
} from "../tensor/index.js";
import { isIdentity, isRowIdentity, type Space, spaceOf } from "./access.js";
import { Assembler } from "./assemble.js";
import type { Buffers } from "./buffers.js";
import {
  type Accumulation,
  type Accumulators,
  canAccumulate,
  type Draft,
  findPlacements,
  isIndex,
  isLeaf,
  isReduction,
  isStrided,
  isTemplate,
  operandOf,
  type Placements,
  reaches,
  readsOf,
  storage,
} from "./drafts.js";
import type { Access, Kernel } from "./kernels.js";
import { reductionKind } from "./reductions.js";
import { isElementwise } from "./rules.js";

/** An expression over more leaves is stored: recomputing it would cost more than one store and its loads. */
const MAX_LEAVES = 6;
/** Maximum input streams of a loop; hardware prefetchers cannot track more. */
const MAX_READS = 20;

/**
 * Fuses an entry's operations into kernels.
 * @param options `fusion: false` makes every operation its own kernel, like an eager framework, for comparison
 */
export function fuse(entry: Entry, buffers: Buffers, { fusion }: { readonly fusion: boolean }): Kernel[] {
  const nodes = nodesOf(entry);
  const assigned = entry.assign ?? [];
  const users = usersOf(nodes, entry);
  const accumulators: Accumulators = fusion ? findAccumulators(assigned, users) : new Map();
  const stored = chooseStored(nodes, entry, users, accumulators);
  if (!fusion) for (const node of nodes) if (isElementwise(node.op)) stored.add(`${node.id}.0`);
  const { drafts, makers } = partition(nodes, stored, fusion);
  const placements: Placements = fusion ? findPlacements(nodes, users) : new Map();
  return new Assembler(entry, buffers, drafts, makers, stored, accumulators, placements).kernels();
}

/** The nodes, outputs and assignments that read each tensor, by the tensor's key. */
function usersOf(nodes: readonly Node[], entry: Entry): Map<string, Node[]> {
  const users = new Map<string, Node[]>();
  const use = (tensor: Tensor, node: Node) => {
    const key = tensorKey(tensor);
    const known = users.get(key);
    if (known) known.push(node);
    else users.set(key, [node]);
  };
  for (const node of nodes) for (const x of node.inputs) use(x, node);
  for (const tensor of Object.values(entry.outputs)) use(tensor, tensor.node);
  for (const [, value] of entry.assign ?? []) use(value, value.node);
  return users;
}

/**
 * Finds assignments v = x + y + … or v = v + x + … where kernels can add each term to v in place. Nothing else may read
 * these terms or the old v. Returns the variable of each term.
 */
function findAccumulators(assigned: NonNullable<Entry["assign"]>, users: ReadonlyMap<string, Node[]>): Accumulators {
  const usedOnce = (tensor: Tensor) => users.get(tensorKey(tensor))?.length === 1;
  const accumulators = new Map<string, Accumulation>();
  for (const [target, value] of assigned) {
    const terms: Tensor[] = [];
    const open = [value];
    let alone = true;
    while (open.length > 0) {
      const tensor = open.pop() as Tensor;
      alone &&= usedOnce(tensor);
      const same = sizeOf(tensor.shape) === sizeOf(target.shape);
      if (tensor.node.op === "reshape" && same) open.push(tensor.node.inputs[0]);
      else if (tensor.node.op === "add" && tensor.node.inputs.every((x) => sizeOf(x.shape) === sizeOf(target.shape))) {
        open.push(...tensor.node.inputs);
      } else terms.push(tensor);
    }
    const others = terms.filter((term) => term.node !== target.node);
    const adds = terms.length === others.length + 1;
    // A single term that replaces the old value is an ordinary assignment.
    const wanted = adds ? others.length > 0 : terms.length === others.length && others.length > 1;
    if (alone && wanted && (adds || !users.has(tensorKey(target))) && others.every(canAccumulate)) {
      for (const term of others) accumulators.set(tensorKey(term), { target, adds });
    }
  }
  return accumulators;
}

/**
 * Finds reshapes that a loop can ignore: rows and columns stay the same, and no user broadcasts the value (two shapes
 * would then count rows differently).
 */
function findTransparent(nodes: readonly Node[], users: ReadonlyMap<string, Node[]>): Set<Node> {
  const transparent = new Set<Node>();
  const stretched = new Set<Node>();
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i];
    if (!isElementwise(node.op) && node.op !== "reshape") continue;
    const { shape } = node.outputs[0];
    const isStretched = (users.get(`${node.id}.0`) ?? []).some(
      (user) =>
        user.op === "broadcast" ||
        (user.op === "reshape" && stretched.has(user)) ||
        (isElementwise(user.op) && (stretched.has(user) || !sameShape(user.outputs[0].shape, shape))),
    );
    if (isStretched) stretched.add(node);
    const sameColumns = node.op === "reshape" && spaceOf(shape).columns === spaceOf(node.inputs[0].shape).columns;
    if (sameColumns && !isStretched) transparent.add(node);
  }
  return transparent;
}

function chooseStored(
  nodes: readonly Node[],
  entry: Entry,
  users: ReadonlyMap<string, Node[]>,
  accumulators: Accumulators,
): Set<string> {
  const stored = new Set<string>();
  const store = (tensor: Tensor) => {
    const source = storage(tensor);
    if (!isLeaf(source.node) && !isIndex(source)) stored.add(tensorKey(source));
  };
  const transparent = findTransparent(nodes, users);
  const accumulating = new Set([...accumulators.values()].map(({ target }) => target.node));
  for (const [target, value] of entry.assign ?? []) if (!accumulating.has(target.node)) store(value);
  for (const tensor of Object.values(entry.outputs)) store(tensor);
  for (const node of nodes) {
    if (isTemplate(node)) {
      for (let i = 0; i < node.inputs.length; i++) store(operandOf(node, i).source);
      for (let i = 0; i < node.outputs.length; i++) stored.add(`${node.id}.${i}`);
    } else if (isReduction(node)) {
      stored.add(`${node.id}.0`);
      if (isStrided(node)) store(node.inputs[0]);
    } else if (node.op === "split" || node.op === "transpose") store(node.inputs[0]);
    else if (node.op === "reshape" && !transparent.has(node)) store(node.inputs[0]);
  }
  // The remaining values are computed where they are used, unless that would load many leaves repeatedly. Only leaves as large as
  // the result count: one number per row, or one row for all, costs almost nothing.
  const leaves = new Map<string, ReadonlyMap<string, number>>();
  for (const node of nodes) {
    if (!isElementwise(node.op)) continue;
    const key = `${node.id}.0`;
    const size = sizeOf(node.outputs[0].shape);
    const mine = new Map<string, number>();
    for (const x of node.inputs) {
      const source = x.node.op === "broadcast" ? storage(x.node.inputs[0]) : storage(x);
      if (isLeaf(source.node) || stored.has(tensorKey(source))) {
        if (sizeOf(source.shape) === size) mine.set(tensorKey(source), size);
      } else for (const [leaf, its] of leaves.get(tensorKey(source)) ?? []) if (its === size) mine.set(leaf, its);
    }
    const often = (users.get(key)?.length ?? 0) > 1;
    if ((often && mine.size > 1 && size > 1) || mine.size > MAX_LEAVES) stored.add(key);
    leaves.set(key, mine);
  }
  return stored;
}

function partition(
  nodes: readonly Node[],
  stored: ReadonlySet<string>,
  fusion: boolean,
): { drafts: Draft[]; makers: ReadonlyMap<string, Draft> } {
  const drafts: Draft[] = [];
  const makers = new Map<string, Draft>();
  /** For each node that begins a recomputation, the number of earlier drafts. */
  const earlier = new Map<Node, number>();
  const start = (template: Node | null, space: Space): Draft => {
    const draft = { id: drafts.length, template, space, roots: [], reads: new Set<string>(), after: new Set<Draft>() };
    drafts.push(draft);
    return draft;
  };
  for (const node of nodes) {
    if (node.op === "again") earlier.set(node, drafts.length);
    if (isTemplate(node)) {
      const draft = start(node, spaceOf(node.outputs[0].shape));
      for (let i = 0; i < node.inputs.length; i++) {
        const key = tensorKey(operandOf(node, i).source);
        const maker = makers.get(key);
        if (maker) draft.after.add(maker);
        draft.reads.add(key);
      }
      for (let i = 0; i < node.outputs.length; i++) makers.set(`${node.id}.${i}`, draft);
      continue;
    }
    for (let i = 0; i < node.outputs.length; i++) if (stored.has(`${node.id}.${i}`)) joinOrStart(outputOf(node, i));
  }
  function joinOrStart(root: Tensor): void {
    const { node } = root;
    const key = tensorKey(root);
    const strided = isReduction(node) && isStrided(node);
    const space = strided ? stridedSpace(node) : spaceOf(isReduction(node) ? node.inputs[0].shape : root.shape);
    const reads = readsOf(root, stored);
    const first = firstDraft(root);
    const draft =
      (strided || !fusion ? null : joinable(drafts, first, makers, root, space, reads)) ?? start(null, space);
    draft.roots.push(root);
    makers.set(key, draft);
    for (const { tensor } of reads) {
      draft.reads.add(tensorKey(tensor));
      const maker = makers.get(tensorKey(tensor));
      if (maker && maker !== draft) draft.after.add(maker);
    }
  }
  /** What is recomputed must not join a kernel of the forward pass: it would have to be stored from there on. */
  function firstDraft(root: Tensor): number {
    let first = 0;
    const seen = new Set<Node>();
    const open = [root.node];
    while (open.length > 0) {
      const node = open.pop() as Node;
      if (seen.has(node)) continue;
      seen.add(node);
      first = Math.max(first, earlier.get(node) ?? 0);
      for (const x of node.inputs) if (!isLeaf(x.node) && !stored.has(tensorKey(x))) open.push(x.node);
    }
    return first;
  }
  return { drafts, makers };
}

/** @param first the first draft that may be joined */
function joinable(
  drafts: readonly Draft[],
  first: number,
  makers: ReadonlyMap<string, Draft>,
  root: Tensor,
  space: Space,
  reads: readonly { tensor: Tensor; access: Access }[],
): Draft | null {
  const producers = new Set(reads.flatMap(({ tensor }) => makers.get(tensorKey(tensor)) ?? []));
  const full = reads.filter(({ access }) => isIdentity(access, space));
  const single = space.rows * space.columns === 1;
  // Newest first: drafts close in the graph share the most.
  for (let i = drafts.length - 1; i >= first; i--) {
    const draft = drafts[i];
    if (draft.space.rows !== space.rows || draft.space.columns !== space.columns) continue;
    if (draft.template && (draft.template.op !== "matmul" || isReduction(root.node))) continue;
    if (draft.roots.some((other) => isStrided(other.node))) continue;
    const makes = producers.has(draft);
    const shares = !draft.template && (single || full.some(({ tensor }) => draft.reads.has(tensorKey(tensor))));
    if (!makes && !shares) continue;
    if (draft.reads.size + reads.length > MAX_READS) continue;
    if (!reads.every(({ tensor, access }) => isVisible(tensor, access, draft, makers))) continue;
    if ([...producers].some((producer) => producer !== draft && reaches(producer, draft))) continue;
    if (delaysTemplates(drafts, draft, producers)) continue;
    return draft;
  }
  return null;
}

/**
 * Whether a draft that waited for these producers too would hold up large operations that come before them in the model code.
 * Of two models in one entry, the second would then run before the gradients of the first, which keeps its activations alive.
 */
function delaysTemplates(drafts: readonly Draft[], draft: Draft, producers: ReadonlySet<Draft>): boolean {
  const last = Math.max(...[...producers].map(({ id }) => id));
  const waiting = new Set([draft]);
  for (let i = draft.id + 1; i < last; i++) {
    const other = drafts[i];
    if (![...other.after].some((earlier) => waiting.has(earlier))) continue;
    if (other.template) return true;
    waiting.add(other);
  }
  return false;
}

/** Whether a draft can read a value it computes itself: only at the same element, or in the same row for a row reduction. */
function isVisible(tensor: Tensor, access: Access, draft: Draft, makers: ReadonlyMap<string, Draft>): boolean {
  if (makers.get(tensorKey(tensor)) !== draft) return true;
  const { node } = tensor;
  if (!isReduction(node)) return isIdentity(access, draft.space);
  return reductionKind(node) === "row" && isRowIdentity(access, draft.space);
}

/** Loop space of a reduction over a middle axis: (result elements, reduced axis), with strided loads. */
function stridedSpace(node: Node<"sum" | "max">): Space {
  const columns = node.attributes.axes.reduce((product, axis) => product * node.inputs[0].shape[axis], 1);
  return { rows: sizeOf(node.outputs[0].shape), columns };
}
