/** @file Turns drafts into kernels: assigns a buffer to each value and builds the loop bodies. */
import {
  type Entry,
  isOp,
  type Node,
  type NumberDType,
  type Op,
  outputOf,
  type Tensor,
  tensorKey,
} from "../tensor/index.js";
import { accessOf, isIdentity, rowTerms, stridesOf } from "./access.js";
import { type Buffers, bufferOfLeaf } from "./buffers.js";
import {
  type Accumulators,
  type Draft,
  isIndex,
  isLeaf,
  isReduction,
  operandOf,
  type Placements,
  reaches,
  readsOf,
  stepInto,
  storage,
  writesInPlace,
} from "./drafts.js";
import type { Access, Buffer, Kernel, LoopBody, LoopResult, LoopValue } from "./kernels.js";
import { reductionKind } from "./reductions.js";

export class Assembler {
  readonly #homes = new Map<string, Buffer>();
  /** Copies of leaves' initial values, made before all other kernels. */
  readonly #earlyCopies: { from: Buffer; to: Buffer }[] = [];
  readonly #copies: { from: Buffer; to: Buffer }[] = [];
  /** Keys of stored tensors that are added to their buffer. */
  readonly #adding = new Set<string>();
  readonly #assigned: ReadonlyMap<Node, Tensor>;

  constructor(
    readonly entry: Entry,
    readonly buffers: Buffers,
    readonly drafts: readonly Draft[],
    readonly makers: ReadonlyMap<string, Draft>,
    readonly stored: ReadonlySet<string>,
    readonly accumulators: Accumulators,
    readonly placements: Placements,
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

  /** Orders kernels that add to the same variable, so that they run one after the other in a fixed order. */
  #orderAccumulations(): void {
    const groups = new Map<Node, { readonly key: string; readonly draft: Draft; readonly adds: boolean }[]>();
    for (const [key, { target, adds }] of this.accumulators) {
      const entry = { key, draft: this.makers.get(key) as Draft, adds };
      groups.set(target.node, [...(groups.get(target.node) ?? []), entry]);
    }
    for (const [target, group] of groups) {
      const ordered = group.sort((a, b) =>
        reaches(a.draft, b.draft) ? 1 : reaches(b.draft, a.draft) ? -1 : a.draft.id - b.draft.id,
      );
      ordered.forEach(({ key, draft, adds }, i) => {
        if (i > 0 && ordered[i - 1].draft !== draft) draft.after.add(ordered[i - 1].draft);
        if (adds || i > 0) this.#adding.add(key);
        this.#homes.set(key, bufferOfLeaf(this.buffers, target));
      });
    }
  }

  /** Writes assigned values in place if all readers of the old value can run first; otherwise copies them at the end. */
  #placeInVariables(): void {
    const accumulating = new Set([...this.accumulators.values()].map(({ target }) => target.node));
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
    if (writesInPlace(value.node)) return value.node.inputs[0].node === target;
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
    const placement = this.#placement(key);
    if (placement) return this.#home(placement.whole);
    const home = this.#homes.get(key) ?? this.buffers.temporary(tensor);
    this.#homes.set(key, home);
    return home;
  }

  /** The concatenation that a tensor is written into; undefined if it has named memory, which others may still read. */
  #placement(key: string) {
    const placement = this.placements.get(key);
    return placement && (this.#homes.get(tensorKey(placement.whole))?.kind ?? "temporary") === "temporary"
      ? placement
      : undefined;
  }

  /** Topological order; ready drafts keep the order of the model code. */
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
        if (state.get(draft) === "open") throw new Error("fusion created a cycle of kernels");
        state.set(draft, "open");
        stack.push(...waiting.filter((other) => state.get(other) !== "open"));
        if (stack[stack.length - 1] === draft) throw new Error("fusion created a cycle of kernels");
      }
    }
    return ordered;
  }

  #assemble(draft: Draft): Kernel[] {
    const { template } = draft;
    if (!template) return [{ kind: "loop", body: this.#body(draft) }];
    const epilogue = draft.roots.length > 0 ? this.#body(draft) : null;
    const keys = template.outputs.map((_, i) => `${template.id}.${i}`);
    // All parts were written in place, so there is nothing to copy.
    if (template.op === "concatenate" && template.inputs.every((x) => this.#placement(tensorKey(x)))) return [];
    if (writesInPlace(template)) this.#homes.set(keys[0], this.#home(storage(template.inputs[0])));
    if (epilogue) this.#shareResult(draft, keys[0], epilogue);
    return [
      {
        kind: "template",
        node: template,
        operands: template.inputs.map((x, i) =>
          isOp(x.node, "literal") && isIndex(x) ? x.node.attributes.value : this.#home(operandOf(template, i).source),
        ),
        operandViews: template.inputs.map((_, i) => operandOf(template, i).view),
        results: template.outputs.map((_, i) => this.#home(outputOf(template, i))),
        resultViews: keys.map((key) => this.#placement(key)?.view ?? null),
        accumulate: keys.map((key) => this.#adding.has(key)),
        epilogue,
      },
    ];
  }

  /** Lets a matrix product that only its epilogue reads use the buffer of an epilogue result. */
  #shareResult(draft: Draft, key: string, epilogue: LoopBody): void {
    const readElsewhere = this.drafts.some((other) => other !== draft && other.reads.has(key));
    if (readElsewhere || (this.#homes.get(key) && this.#homes.get(key)?.kind !== "temporary")) return;
    const old = this.#homes.get(key);
    const loads = epilogue.values.flatMap((value) => (value.op === "load" ? [value.access.buffer] : []));
    const store = epilogue.results.find(
      (result) =>
        result.kind === "store" &&
        result.access.buffer.dtype === "f32" &&
        isIdentity(result.access, draft.space) &&
        !loads.includes(result.access.buffer),
    );
    if (store?.kind !== "store" || !old) return;
    this.#homes.set(key, store.access.buffer);
    // The body still loads from the product's own buffer; redirect it to the shared one.
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
        const access = accessOf(this.#home(step.source), tensor.shape, shape, step.layout);
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
      if (isOp(node, "cast")) {
        const [from, to] = [node.inputs[0].dtype as NumberDType, node.attributes.dtype];
        return push({ op: "cast", from, to, operands: [operands[0]], varies, stage }, key);
      }
      return push({ op: node.op as "add", operands, varies, stage }, key);
    };
    for (const root of draft.roots) {
      const { node } = root;
      const home = this.#home(root);
      const accumulate = this.#adding.has(tensorKey(root));
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
        access: { buffer: home, offset: 0, rows: rowTerms([space.rows], [1]), columnStride: 0 },
      });
    }
    // A sum that overwrites a buffer must come before one that adds to it.
    results.sort((a, b) => Number(a.kind !== "store" && a.accumulate) - Number(b.kind !== "store" && b.accumulate));
    return { ...space, values, results };
  }
}

function stridedLoad(node: Node<"sum" | "max">, buffer: Buffer): LoopValue {
  const { shape } = node.inputs[0];
  const strides = stridesOf(shape);
  const axis = node.attributes.axes.find((a) => shape[a] > 1) as number;
  const kept = shape.map((size, a) => (a === axis ? 1 : size));
  const access = { buffer, offset: 0, rows: rowTerms(kept, strides), columnStride: strides[axis] };
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

/** Results that a template leaves out if nothing reads them, such as the gradient of a frozen head (V,C). */
const OPTIONAL_RESULTS: { readonly [O in Op]?: readonly number[] } = { linearCrossEntropyGradient: [2] };

/** Removes stores to temporaries that no kernel reads. */
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
    const optional = OPTIONAL_RESULTS[kernel.node.op] ?? [];
    const results = kernel.results.map((result, i) =>
      result !== null && optional.includes(i) && !alive(result) ? null : result,
    );
    return { ...kernel, results, epilogue: kernel.epilogue && prune(kernel.epilogue) };
  });
}
