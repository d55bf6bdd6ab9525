/** @file The public face of a compiled program, for every backend: runs, reads and writes, executed in call order. */
import type { ComputeDType } from "../compiler/index.js";
import { QuernError } from "../errors.js";
import { type Entries, isOp, nodesOf, ShapeError, sizeOf } from "../tensor/index.js";
import type { DeviceTensor, Image, Loadable } from "./backend.js";
import { enqueue, isIdle, Queue } from "./queue.js";
import { encode, nameOf, numbersOf, type Slot, slotOf, type Values, type Written } from "./slots.js";

/** Figures of a compiled program. */
export interface Plan {
  readonly backend: string;
  /** Name of the instruction set, or the interpreter. */
  readonly target: string;
  readonly threads: number;
  /** Operand dtype of large products; `auto` is resolved. */
  readonly dtype: ComputeDType;
  /** Bytes allocated for this program: its arena and its own variables. */
  readonly arenaBytes: number;
  /** Bytes of its variables, including shared ones. */
  readonly stateBytes: number;
  /** Bytes of the variables that an earlier program allocated and this one shares. */
  readonly sharedBytes: number;
  /** Kernel launches per entry, and the number of distinct kernels in all entries. */
  readonly launches: Readonly<Record<string, number>>;
  readonly kernels: number;
  /** Seconds spent building; a few hundredths if the program was cached. */
  readonly buildSeconds: number;
  readonly cached: boolean;
  /** Path of the emitted source file in the cache, if there is one. */
  readonly source?: string;
}

/** Variables that an entry delivers while it runs; see `Delivery` of quern/tensor. */
export interface Delivered {
  readonly variables: readonly string[];
  /** The memory of each variable. Transient variables have it until the next call's promise has resolved. */
  readonly memory: readonly Float32Array[];
  /** Whether the entry has no more portions. */
  readonly isLast: boolean;
}

/** Called after each portion of an entry. The next portion starts, or the run ends, when its promise has resolved. */
export type Receive = (delivered: Delivered) => Promise<void>;

/**
 * Operations run in call order, also across programs that share variables. No operation sees a partial result of another.
 */
export interface Program {
  readonly plan: Plan;
  /**
   * Runs one entry. Inputs keep their values between runs, so pass only those that changed. A run does not block the event loop.
   * One run at a time: a second call waits for the first.
   * @param receive gets the variables that the entry delivers
   * @throws QuernError naming the entry's inputs that were never set by a run or `write`
   */
  run(entry: string, values?: Values, receive?: Receive): Promise<void>;
  /**
   * Returns a copy of a variable, an input or an output, by name.
   * @param into array that receives the copy; avoids an allocation per read
   * @throws QuernError if no entry with this output has run yet
   */
  read(name: string, into?: Float32Array): Promise<Float32Array>;
  /** Sets a variable or an input. A function receives the f32 memory and must fill it completely. */
  write(name: string, data: Written): void;
  /** Frees the memory and threads that no other program shares. The program cannot be used afterwards. */
  dispose(): void;
}

/** What other programs need in order to share this program's variables. */
export interface Inside {
  readonly backend: string;
  readonly slots: ReadonlyMap<string, Slot>;
  readonly image: Image;
  readonly queues: readonly Queue[];
  readonly closed: () => boolean;
}

const insides = new WeakMap<Program, Inside>();

/** @throws QuernError if the program was disposed, or was not created by `compile` */
export function insideOf(program: Program): Inside {
  const inside = insides.get(program);
  if (!inside) throw new QuernError("shareWith takes programs created by compile()", { exitCode: 2 });
  if (inside.closed()) {
    throw new QuernError("cannot share variables with a program that was disposed", { exitCode: 2 });
  }
  return inside;
}

/**
 * Runs `work` on the memory of f32 variables itself, without copies. Earlier operations of the program end first, and later ones
 * wait until `work` has ended.
 * @throws QuernError if JavaScript cannot access this backend's memory, or it is not fp32
 */
export async function withMemory<T>(
  program: Program,
  names: readonly string[],
  work: (memory: readonly Float32Array[]) => Promise<T>,
): Promise<T> {
  const { image, queues, slots, backend } = insideOf(program);
  return enqueue(queues, () => {
    for (const name of names) slotOf(slots, name);
    return work(memoryOf(image, names, backend));
  });
}

const memoryOf = (image: Image, names: readonly string[], backend: string) =>
  names.map((name) => {
    const memory = image.tensor(name).host?.();
    if (memory instanceof Float32Array) return memory;
    throw new QuernError(`the backend ${backend} has no fp32 memory for "${name}" that ranks could exchange`);
  });

export function createProgram(
  { entries, slots, layout }: Pick<Loadable, "entries" | "slots" | "layout">,
  image: Image,
  plan: Plan,
): Program {
  const variables = [...slots].flatMap(([name, { kind }]) => (kind === "variable" ? [image.tensor(name)] : []));
  const storages = [...new Set(variables.flatMap(({ storage }) => storage ?? []))];
  for (const storage of storages) storage.retain();
  const queues = [new Queue(), ...image.queues, ...storages];
  const known = knownValues(entries);
  let closed = false;
  const requireOpen = () => {
    if (closed) throw new QuernError("the program was disposed and can no longer be used");
  };
  const write = (name: string, data: Written) => {
    requireOpen();
    const { type } = slotOf(slots, name);
    const tensor = image.tensor(name);
    const exact = tensor.host?.() instanceof Float64Array;
    if (isIdle(queues)) {
      writeNow(tensor, name, data, exact);
    } else {
      // Earlier operations still use the memory. Copy, because the caller may change the array before they finish.
      const elements = encode(name, type, data, exact);
      const copy = elements === data ? elements.slice() : elements;
      void enqueue(queues, () => tensor.write(copy));
    }
    known.give(name);
  };

  const program: Program = {
    plan,
    async run(entry, values = {}, receive) {
      await enqueue(queues, async () => {
        requireOpen();
        for (const [name, data] of Object.entries(values)) {
          const { type } = slotOf(slots, name);
          const tensor = image.tensor(name);
          tensor.write(encode(name, type, data, tensor.host?.() instanceof Float64Array));
          known.give(name);
        }
        known.check(entry);
        const runs = layout.runs[entry];
        for (const [i, { name, finished }] of runs.entries()) {
          await image.run(name);
          if (receive === undefined || finished.length === 0) continue;
          const memory = memoryOf(image, finished, plan.backend);
          await receive({ variables: finished, memory, isLast: i === runs.length - 1 });
        }
        known.ran(entry);
      });
    },
    async read(name, into) {
      requireOpen();
      const { type, kind } = slotOf(slots, name);
      if (kind === "transient") throw new QuernError(`"${name}" exists only during a run: pass \`receive\` to run`);
      return enqueue(queues, async () => {
        requireOpen();
        known.checkOutput(name);
        const tensor = image.tensor(name);
        if (!into) return numbersOf(await tensor.read(), type.dtype);
        const size = sizeOf(type.shape);
        if (into.length !== size)
          throw new ShapeError(`"${name}" has ${size} values, but the array has ${into.length}`);
        const host = tensor.host?.();
        into.set(host instanceof Float32Array ? host : numbersOf(await tensor.read(), type.dtype));
        return into;
      });
    },
    write,
    dispose() {
      if (closed) return;
      closed = true;
      // Running operations still use the memory.
      void enqueue(queues, async () => {
        await image.close();
        for (const storage of storages) storage.release();
      });
    },
  };
  insides.set(program, { backend: plan.backend, slots, image, queues, closed: () => closed });
  return program;
}

function writeNow(tensor: DeviceTensor, name: string, data: Written, exact: boolean): void {
  const memory = tensor.host?.();
  if (typeof data === "function" && memory instanceof Float32Array) data(memory);
  else tensor.write(encode(name, tensor.type, data, exact));
}

/** Tracks which inputs were set and which entries ran. Memory starts as zeros, which would otherwise pass for data. */
function knownValues(entries: Entries) {
  const given = new Set<string>();
  /** Inputs of each entry that have not been set yet. */
  const waiting = new Map<string, readonly string[]>();
  const computed = new Set<string>();
  const quoted = (names: readonly string[]) => names.map((name) => `"${name}"`).join(", ");
  return {
    give: (name: string) => void given.add(name),
    ran(entry: string) {
      for (const name of Object.keys(entries[entry].outputs)) computed.add(name);
    },
    /** @throws QuernError if the entry does not exist or some of its inputs were never set */
    check(entry: string) {
      if (!Object.hasOwn(entries, entry)) {
        throw new QuernError(`the program has no entry "${entry}"; it has ${Object.keys(entries).join(", ")}`);
      }
      const inputs =
        waiting.get(entry) ?? nodesOf(entries[entry]).flatMap((node) => (isOp(node, "input") ? [nameOf(node)] : []));
      const missing = [...new Set(inputs)].filter((name) => !given.has(name));
      waiting.set(entry, missing);
      if (missing.length === 0) return;
      throw new QuernError(`the entry "${entry}" needs ${quoted(missing)}: pass a value to run or write`);
    },
    /** @throws QuernError if no run has computed the output */
    checkOutput(name: string) {
      if (computed.has(name)) return;
      const makers = Object.keys(entries).filter((entry) => Object.hasOwn(entries[entry].outputs, name));
      if (makers.length === 0) return;
      throw new QuernError(`the output "${name}" has no value yet: run ${quoted(makers)} first`);
    },
  };
}
