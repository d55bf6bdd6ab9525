/**
 * @file Cuts a simplified graph into kernels.
 *
 * 1. Decide what is *stored* in memory: what large operations read and write, reductions, outputs, assigned values, and
 *    what would cost more to compute again than to load. Everything else is computed where it is used.
 * 2. Walk the stored values in order. A large operation is a kernel. Any other value joins a kernel that runs over the
 *    same rows and columns and already makes or reads what it needs (as the epilogue, if that is a matrix product), or
 *    begins a new one. Joining must not close a circle of dependencies.
 * 3. Assigned values are written straight into their variables wherever no later kernel needs the old value, and
 *    gradients are added into their accumulators by the kernels that make them.
 */
import { type Entry, isOp, type Node, nodesOf, sameShape, sizeOf, type Tensor, tensorKey } from "../tensor/index.js";
import { accessOf, isIdentity, isRowIdentity, rowTerms, type Space, spaceOf, stridesOf } from "./access.js";
import { type Buffers, bufferOfLeaf } from "./buffers.js";
import type { Access, Buffer, Kernel, LoopBody, LoopResult, LoopValue } from "./kernels.js";
import { isElementwise, reductionKind } from "./simplify.js";

/** A kernel in the making. */
interface Draft {
  readonly id: number;
  /** The large operation; null for a loop. */
  readonly template: Node | null;
  readonly space: Space;
  /** Stored values that the loop (or epilogue) makes, inputs before users. */
  readonly roots: Tensor[];
  /** What it reads that others made, as keys of stored tensors. */
  readonly reads: Set<string>;
  /** Drafts that must run before. */
  readonly after: Set<Draft>;
}

/** Reading all leaves of a longer expression again costs more than one store and loads. */
const MOST_LEAVES = 6;
/** Streams that a loop may touch: beyond it the hardware's prefetchers lose count. */
const MOST_READS = 20;

const LEAVES: ReadonlySet<string> = new Set(["variable", "input", "constant"]);
const isLeaf = (node: Node) => LEAVES.has(node.op);
const isReduction = (node: Node): node is Node<"sum" | "max"> => node.op === "sum" || node.op === "max";
const isLoop = (node: Node) => isElementwise(node.op) || node.op === "broadcast" || node.op === "literal";
const isTemplate = (node: Node) => !isLeaf(node) && !isReduction(node) && !isLoop(node) && node.op !== "reshape";
/** Template outputs that can be added to what is there. */
const canAccumulate = (tensor: Tensor) =>
  tensor.node.op === "matmul" ||
  tensor.node.op === "embeddingGradient" ||
  (tensor.node.op === "linearCrossEntropyGradient" && tensor.output === 2) ||
  (isOp(tensor.node, "sum") && reductionKind(tensor.node) === "column");

/** The tensor whose memory this one is a view of. */
function storage(tensor: Tensor): Tensor {
  let source = tensor;
  while (source.node.op === "reshape") source = source.node.inputs[0];
  return source;
}

const isStrided = (node: Node) => isReduction(node) && reductionKind(node) === "strided";
const isIndex = (tensor: Tensor) => tensor.node.op === "literal" && tensor.dtype === "i32";

export function fuse(entry: Entry, buffers: Buffers): Kernel[] {
  const nodes = nodesOf(entry);
  const assigned = entry.assign ?? [];
  const users = usersOf(nodes, entry);
  const accumulators = findAccumulators(assigned, users);
  const stored = chooseStored(nodes, entry, users, accumulators);
  const { drafts, makers } = cut(nodes, stored);
  return new Assembler(entry, buffers, drafts, makers, stored, accumulators).kernels();
}

/** How many nodes, outputs and assignments read each tensor. */
function usersOf(nodes: readonly Node[], entry: Entry): Map<string, Node[]> {
  const users = new Map<string, Node[]>();
  const use = (tensor: Tensor, node: Node) => {
    const key = tensorKey(tensor);
    users.set(key, [...(users.get(key) ?? []), node]);
  };
  for (const node of nodes) for (const x of node.inputs) use(x, node);
  for (const tensor of Object.values(entry.outputs)) use(tensor, tensor.node);
  for (const [, value] of entry.assign ?? []) use(value, value.node);
  return users;
}

/**
 * Assignments of the form v = v + x + …, where each x is made by a kernel that can add it to v itself and nobody else
 * reads it or the old v. Gives, for each such x, its variable.
 */
function findAccumulators(
  assigned: NonNullable<Entry["assign"]>,
  users: ReadonlyMap<string, Node[]>,
): Map<string, Tensor> {
  const usedOnce = (tensor: Tensor) => users.get(tensorKey(tensor))?.length === 1;
  const accumulators = new Map<string, Tensor>();
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
    if (alone && terms.length === others.length + 1 && others.length > 0 && others.every(canAccumulate)) {
      for (const term of others) accumulators.set(tensorKey(term), target);
    }
  }
  return accumulators;
}

/**
 * Reshapes that a loop can look through: rows and columns stay what they are, and nothing on the way to where the value
 * is used stretches it, for then rows would be counted by two shapes at once.
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
  accumulators: ReadonlyMap<string, Tensor>,
): Set<string> {
  const stored = new Set<string>();
  const store = (tensor: Tensor) => {
    const source = storage(tensor);
    if (!isLeaf(source.node) && !isIndex(source)) stored.add(tensorKey(source));
  };
  const transparent = findTransparent(nodes, users);
  const accumulating = new Set([...accumulators.values()].map((target) => target.node));
  for (const [target, value] of entry.assign ?? []) if (!accumulating.has(target.node)) store(value);
  for (const tensor of Object.values(entry.outputs)) store(tensor);
  for (const node of nodes) {
    if (isTemplate(node)) {
      for (const x of node.inputs) store(x);
      for (let i = 0; i < node.outputs.length; i++) stored.add(`${node.id}.${i}`);
    } else if (isReduction(node)) {
      stored.add(`${node.id}.0`);
      if (isStrided(node)) store(node.inputs[0]);
    } else if (node.op === "reshape" && !transparent.has(node)) store(node.inputs[0]);
  }
  // What is left is computed where it is used, unless that means to load much, often.
  // Only leaves as large as the result count: a number a row, or a row for all, is as good as free.
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
    if ((often && mine.size > 1 && size > 1) || mine.size > MOST_LEAVES) stored.add(key);
    leaves.set(key, mine);
  }
  return stored;
}

/** The stored tensors that a root's expression reads, with the access each is read by. */
function readsOf(root: Tensor, stored: ReadonlySet<string>): { tensor: Tensor; access: Access }[] {
  const reads: { tensor: Tensor; access: Access }[] = [];
  const seen = new Set<string>();
  const walk = (tensor: Tensor, shape: readonly number[], isRoot: boolean): void => {
    const key = `${tensorKey(tensor)}|${shape}|${isRoot}`;
    if (seen.has(key)) return;
    seen.add(key);
    const step = stepInto(tensor, shape, stored, isRoot);
    if (step.kind === "load") {
      reads.push({ tensor: step.source, access: accessOf(UNKNOWN, tensor.shape, shape) });
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
  | { readonly kind: "load"; readonly source: Tensor }
  | { readonly kind: "compute"; readonly operands: readonly (readonly [Tensor, readonly number[]])[] };

/** One step into an expression seen from a loop over `shape`: is the tensor loaded, or computed, and from what? */
function stepInto(tensor: Tensor, shape: readonly number[], stored: ReadonlySet<string>, isRoot: boolean): Step {
  const { node } = tensor;
  if (!isRoot && (isLeaf(node) || stored.has(tensorKey(tensor)))) return { kind: "load", source: tensor };
  if (node.op === "literal") return { kind: "compute", operands: [] };
  if (node.op === "broadcast") return { kind: "compute", operands: [[node.inputs[0], shape]] };
  if (node.op === "reshape") {
    const source = storage(tensor);
    if (isLeaf(source.node) || stored.has(tensorKey(source))) return { kind: "load", source };
    // It is transparent, or chooseStored would have stored its source.
    return { kind: "compute", operands: [[node.inputs[0], node.inputs[0].shape]] };
  }
  return { kind: "compute", operands: node.inputs.map((x) => [x, shape] as const) };
}

function cut(
  nodes: readonly Node[],
  stored: ReadonlySet<string>,
): { drafts: Draft[]; makers: ReadonlyMap<string, Draft> } {
  const drafts: Draft[] = [];
  const makers = new Map<string, Draft>();
  const begin = (template: Node | null, space: Space): Draft => {
    const draft = { id: drafts.length, template, space, roots: [], reads: new Set<string>(), after: new Set<Draft>() };
    drafts.push(draft);
    return draft;
  };
  for (const node of nodes) {
    if (isTemplate(node)) {
      const draft = begin(node, spaceOf(node.outputs[0].shape));
      for (const x of node.inputs) {
        const maker = makers.get(tensorKey(storage(x)));
        if (maker) draft.after.add(maker);
        draft.reads.add(tensorKey(storage(x)));
      }
      for (let i = 0; i < node.outputs.length; i++) makers.set(`${node.id}.${i}`, draft);
      continue;
    }
    const key = `${node.id}.0`;
    if (!stored.has(key)) continue;
    const root: Tensor = { node, output: 0, ...node.outputs[0] };
    const strided = isReduction(node) && isStrided(node);
    const space = strided ? stridedSpace(node) : spaceOf(isReduction(node) ? node.inputs[0].shape : root.shape);
    const reads = readsOf(root, stored);
    const draft = (strided ? null : joinable(drafts, makers, root, space, reads)) ?? begin(null, space);
    draft.roots.push(root);
    makers.set(key, draft);
    for (const { tensor } of reads) {
      draft.reads.add(tensorKey(tensor));
      const maker = makers.get(tensorKey(tensor));
      if (maker && maker !== draft) draft.after.add(maker);
    }
  }
  return { drafts, makers };
}

function joinable(
  drafts: readonly Draft[],
  makers: ReadonlyMap<string, Draft>,
  root: Tensor,
  space: Space,
  reads: readonly { tensor: Tensor; access: Access }[],
): Draft | null {
  const producers = new Set(reads.flatMap(({ tensor }) => makers.get(tensorKey(tensor)) ?? []));
  const full = reads.filter(({ access }) => isIdentity(access, space));
  const single = space.rows * space.columns === 1;
  // Newest first: the closer in the graph, the more is shared.
  for (let i = drafts.length - 1; i >= 0; i--) {
    const draft = drafts[i];
    if (draft.space.rows !== space.rows || draft.space.columns !== space.columns) continue;
    if (draft.template && (draft.template.op !== "matmul" || isReduction(root.node))) continue;
    if (draft.roots.some((other) => isStrided(other.node))) continue;
    const makes = producers.has(draft);
    const shares = !draft.template && (single || full.some(({ tensor }) => draft.reads.has(tensorKey(tensor))));
    if (!makes && !shares) continue;
    if (draft.reads.size + reads.length > MOST_READS) continue;
    if (!reads.every(({ tensor, access }) => isVisible(tensor, access, draft, makers))) continue;
    if ([...producers].some((producer) => producer !== draft && reaches(producer, draft))) continue;
    return draft;
  }
  return null;
}

/** What a loop itself makes can be used in it at the same place, or, for a reduction over rows, in the same row. */
function isVisible(tensor: Tensor, access: Access, draft: Draft, makers: ReadonlyMap<string, Draft>): boolean {
  if (makers.get(tensorKey(tensor)) !== draft) return true;
  const { node } = tensor;
  if (!isReduction(node)) return isIdentity(access, draft.space);
  return reductionKind(node) === "row" && isRowIdentity(access, draft.space);
}

/** Whether `from` must run after `to`. */
function reaches(from: Draft, to: Draft): boolean {
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

/** A reduction over an axis in the middle runs over (result, axis) and gathers. */
function stridedSpace(node: Node<"sum" | "max">): Space {
  const columns = node.attributes.axes.reduce((product, axis) => product * node.inputs[0].shape[axis], 1);
  return { rows: sizeOf(node.outputs[0].shape), columns };
}

/** Turns drafts into kernels: decides which buffer each value lives in and writes the loops' bodies. */
class Assembler {
  readonly #homes = new Map<string, Buffer>();
  /** Copies of leaves as they were when the run began, made before anything else. */
  readonly #earlyCopies: { from: Buffer; to: Buffer }[] = [];
  readonly #copies: { from: Buffer; to: Buffer }[] = [];
  readonly #assigned: ReadonlyMap<Node, Tensor>;

  constructor(
    readonly entry: Entry,
    readonly buffers: Buffers,
    readonly drafts: readonly Draft[],
    readonly makers: ReadonlyMap<string, Draft>,
    readonly stored: ReadonlySet<string>,
    readonly accumulators: ReadonlyMap<string, Tensor>,
  ) {
    this.#assigned = new Map((entry.assign ?? []).map(([target, value]) => [target.node, storage(value)]));
  }

  kernels(): Kernel[] {
    this.#orderAccumulations();
    this.#placeInVariables();
    for (const [name, tensor] of Object.entries(this.entry.outputs)) {
      const to = this.buffers.named("output", name, tensor);
      const source = storage(tensor);
      if (isLeaf(source.node)) this.#earlyCopies.push({ from: this.#home(source), to });
      else if (this.#homes.has(tensorKey(source))) this.#copies.push({ from: this.#home(source), to });
      else this.#homes.set(tensorKey(source), to);
    }
    const kernels = this.#ordered().flatMap((draft) => this.#assemble(draft));
    const copies = (list: readonly { from: Buffer; to: Buffer }[]) => list.map(({ from, to }) => copyKernel(from, to));
    return withoutDeadStores([...copies(this.#earlyCopies), ...kernels, ...copies(this.#copies)]);
  }

  /** Kernels that add to one variable run one after the other, in a fixed order. */
  #orderAccumulations(): void {
    const last = new Map<Node, Draft>();
    for (const [key, target] of this.accumulators) {
      const draft = this.makers.get(key) as Draft;
      const before = last.get(target.node);
      if (before && before !== draft) {
        const [first, second] = reaches(before, draft) ? [draft, before] : [before, draft];
        second.after.add(first);
      }
      last.set(target.node, draft);
      this.#homes.set(key, bufferOfLeaf(this.buffers, target.node));
    }
  }

  /** Writes assigned values in place where every reader of the old value can run before; else by a copy at the end. */
  #placeInVariables(): void {
    const accumulating = new Set([...this.accumulators.values()].map((target) => target.node));
    for (const [target, value] of this.#assigned) {
      if (accumulating.has(target)) continue;
      const variable = bufferOfLeaf(this.buffers, target);
      const key = tensorKey(value);
      const writer = this.makers.get(key);
      const old = `${target.id}.0`;
      const readers = this.drafts.filter((draft) => draft !== writer && draft.reads.has(old));
      const free = writer && !this.#homes.has(key) && readers.every((reader) => !reaches(reader, writer));
      if (free && this.#canOverwrite(writer, value, target)) {
        for (const reader of readers) writer.after.add(reader);
        this.#homes.set(key, variable);
      } else {
        let from = this.#home(value);
        if (isLeaf(value.node)) {
          const saved = this.buffers.temporary(value);
          this.#earlyCopies.push({ from, to: saved });
          from = saved;
        }
        this.#copies.push({ from, to: variable });
      }
    }
  }

  #canOverwrite(writer: Draft, value: Tensor, target: Node): boolean {
    if (value.node.op === "cacheWrite") return value.node.inputs[0].node === target;
    const old = `${target.id}.0`;
    if (!writer.reads.has(old)) return true;
    if (writer.template?.inputs.some((x) => storage(x).node === target)) return false;
    const onePass = writer.roots.every((root) => !isReduction(root.node));
    return (
      onePass &&
      writer.roots.every((root) =>
        readsOf(root, this.stored).every(
          ({ tensor, access }) => tensor.node !== target || isIdentity(access, writer.space),
        ),
      )
    );
  }

  /** The buffer of a stored tensor or leaf. */
  #home(tensor: Tensor): Buffer {
    if (isLeaf(tensor.node)) return bufferOfLeaf(this.buffers, tensor.node);
    const key = tensorKey(tensor);
    const home = this.#homes.get(key) ?? this.buffers.temporary(tensor);
    this.#homes.set(key, home);
    return home;
  }

  /** Dependencies first; among the ready ones, in the order of the model code. */
  #ordered(): Draft[] {
    const ordered: Draft[] = [];
    const state = new Map<Draft, "open" | "done">();
    for (const start of this.drafts) {
      const stack = [start];
      while (stack.length > 0) {
        const draft = stack[stack.length - 1];
        const waiting = [...draft.after].filter((other) => state.get(other) !== "done").sort((a, b) => b.id - a.id);
        if (state.get(draft) === "done" || waiting.length === 0) {
          stack.pop();
          if (state.get(draft) !== "done") ordered.push(draft);
          state.set(draft, "done");
          continue;
        }
        if (state.get(draft) === "open") throw new Error("fusion closed a circle of kernels");
        state.set(draft, "open");
        stack.push(...waiting.filter((other) => state.get(other) !== "open"));
        if (stack[stack.length - 1] === draft) throw new Error("fusion closed a circle of kernels");
      }
    }
    return ordered;
  }

  #assemble(draft: Draft): Kernel[] {
    const { template } = draft;
    if (!template) return [{ kind: "loop", body: this.#body(draft) }];
    const epilogue = draft.roots.length > 0 ? this.#body(draft) : null;
    const keys = template.outputs.map((_, i) => `${template.id}.${i}`);
    if (template.op === "cacheWrite") this.#homes.set(keys[0], this.#home(storage(template.inputs[0])));
    if (epilogue) this.#shareResult(draft, keys[0], epilogue);
    return [
      {
        kind: "template",
        node: template,
        operands: template.inputs.map((x) =>
          isOp(x.node, "literal") && isIndex(x) ? x.node.attributes.value : this.#home(storage(x)),
        ),
        results: template.outputs.map((type, i) => this.#home({ node: template, output: i, ...type })),
        accumulate: keys.map((key) => this.accumulators.has(key)),
        epilogue,
      },
    ];
  }

  /** A matrix product that only its epilogue reads lies where the epilogue's first result will. */
  #shareResult(draft: Draft, key: string, epilogue: LoopBody): void {
    const readElsewhere = this.drafts.some((other) => other !== draft && other.reads.has(key));
    if (readElsewhere || (this.#homes.get(key) && this.#homes.get(key)?.kind !== "temporary")) return;
    const old = this.#homes.get(key);
    const loads = epilogue.values.flatMap((value) => (value.op === "load" ? [value.access.buffer] : []));
    const store = epilogue.results.find(
      (result) =>
        result.kind === "store" && isIdentity(result.access, draft.space) && !loads.includes(result.access.buffer),
    );
    if (store?.kind !== "store" || !old) return;
    this.#homes.set(key, store.access.buffer);
    // The body was written with a buffer of the product's own; it reads the shared one now.
    for (const value of epilogue.values) {
      if (value.op === "load" && value.access.buffer === old) {
        (value as { access: Access }).access = { ...value.access, buffer: store.access.buffer };
      }
    }
  }

  #body(draft: Draft): LoopBody {
    const { space } = draft;
    const values: LoopValue[] = [];
    const results: LoopResult[] = [];
    const known = new Map<string, number>();
    const made = new Map<string, number>();
    const push = (value: LoopValue, key?: string): number => {
      if (key) known.set(key, values.length);
      return values.push(value) - 1;
    };
    const resolve = (tensor: Tensor, shape: readonly number[], isRoot: boolean): number => {
      const key = `${tensorKey(tensor)}|${shape}|${isRoot}`;
      const before = known.get(key);
      if (before !== undefined) return before;
      const step = stepInto(tensor, shape, this.stored, isRoot);
      if (step.kind === "load") {
        const here = made.get(tensorKey(step.source));
        if (here !== undefined) return here;
        const access = accessOf(this.#home(step.source), tensor.shape, shape);
        return push({ op: "load", access, varies: access.columnStride !== 0, stage: 0 }, key);
      }
      const { node } = tensor;
      if (isOp(node, "literal")) {
        return push({ op: "literal", value: node.attributes.value, varies: false, stage: 0 }, key);
      }
      const operands = step.operands.map(([operand, space]) => resolve(operand, space, false));
      if (node.op === "broadcast" || node.op === "reshape") return operands[0];
      const varies = operands.some((i) => values[i].varies);
      const stage = Math.max(...operands.map((i) => values[i].stage));
      return push({ op: node.op as "add", operands, varies, stage }, key);
    };
    for (const root of draft.roots) {
      const { node } = root;
      const home = this.#home(root);
      const accumulate = this.accumulators.has(tensorKey(root));
      if (!isReduction(node)) {
        const value = resolve(root, root.shape, true);
        made.set(tensorKey(root), value);
        results.push({ kind: "store", value, access: accessOf(home, root.shape, root.shape) });
        continue;
      }
      const [x] = node.inputs;
      const kind = reductionKind(node);
      if (kind === "column" || kind === "full") {
        const value = resolve(x, x.shape, false);
        results.push({ kind: kind === "full" ? "fullSum" : "columnSum", value, buffer: home, accumulate });
        continue;
      }
      const operand = kind === "row" ? resolve(x, x.shape, false) : push(stridedLoad(node, this.#home(storage(x))));
      const stage = values[operand].stage + 1;
      const value = push({ op: isOp(node, "sum") ? "rowSum" : "rowMax", operands: [operand], varies: false, stage });
      made.set(tensorKey(root), value);
      results.push({
        kind: "store",
        value,
        access: { buffer: home, rows: rowTerms([space.rows], [1]), columnStride: 0 },
      });
    }
    return { ...space, values, results };
  }
}

function stridedLoad(node: Node<"sum" | "max">, buffer: Buffer): LoopValue {
  const { shape } = node.inputs[0];
  const strides = stridesOf(shape);
  const axis = node.attributes.axes.find((a) => shape[a] > 1) as number;
  const kept = shape.map((size, a) => (a === axis ? 1 : size));
  const access = { buffer, rows: rowTerms(kept, strides), columnStride: strides[axis] };
  return { op: "load", access, varies: true, stage: 0 };
}

function copyKernel(from: Buffer, to: Buffer): Kernel {
  const space = { rows: 1, columns: from.size };
  const load: LoopValue = { op: "load", access: accessOf(from, [from.size], [from.size]), varies: true, stage: 0 };
  return {
    kind: "loop",
    body: {
      ...space,
      values: [load],
      results: [{ kind: "store", value: 0, access: accessOf(to, [from.size], [from.size]) }],
    },
  };
}

/** Drops stores to temporaries that no kernel reads. */
function withoutDeadStores(kernels: readonly Kernel[]): Kernel[] {
  const read = new Set<Buffer>();
  for (const kernel of kernels) {
    const bodies = kernel.kind === "loop" ? [kernel.body] : kernel.epilogue ? [kernel.epilogue] : [];
    if (kernel.kind === "template") for (const x of kernel.operands) if (typeof x !== "number") read.add(x);
    for (const body of bodies) {
      for (const value of body.values) if (value.op === "load") read.add(value.access.buffer);
    }
  }
  const alive = (buffer: Buffer) => buffer.kind !== "temporary" || read.has(buffer);
  const prune = (body: LoopBody): LoopBody => ({
    ...body,
    results: body.results.filter((result) => alive(result.kind === "store" ? result.access.buffer : result.buffer)),
  });
  return kernels.map((kernel) => {
    if (kernel.kind === "loop") return { ...kernel, body: prune(kernel.body) };
    return { ...kernel, epilogue: kernel.epilogue && prune(kernel.epilogue) };
  });
}
