/** @file A compiled program as its user sees it, whatever runs it: runs, reads and writes in the order in which they were begun. */
import type { Precision } from "../compiler/index.js";
import { QuernError } from "../errors.js";
import { type Entries, isOp, nodesOf, ShapeError, sizeOf } from "../tensor/index.js";
import type { DeviceTensor, Image } from "./backend.js";
import { enqueue, isIdle, Queue } from "./queue.js";
import { encode, nameOf, numbersOf, type Slot, slotOf, type Values, type Written } from "./slots.js";

/** What the compiler made of a graph, in numbers. */
export interface Plan {
  readonly backend: string;
  /** The instruction set's row, or the interpreter. */
  readonly target: string;
  readonly threads: number;
  /** What products are made of: what was asked for, or what `auto` came to. */
  readonly dtype: Precision;
  /** Bytes of all memory that was allocated for this program, once: its arena and its own variables. */
  readonly arenaBytes: number;
  /** Bytes of its variables, shared ones among them. */
  readonly stateBytes: number;
  /** Bytes of the variables that it shares with a program compiled before it, which has allocated them. */
  readonly sharedBytes: number;
  /** Kernel launches of each entry, and how many distinct kernels were emitted for them all. */
  readonly launches: Readonly<Record<string, number>>;
  readonly kernels: number;
  /** Seconds spent building; 0.0 something when the cache had it. */
  readonly buildSeconds: number;
  readonly cached: boolean;
  /** The emitted source file in the cache, if there is one. */
  readonly source?: string;
}

/**
 * Operations happen in the order in which they were begun, also among programs that share variables: none sees half of what
 * another one does.
 */
export interface Program {
  readonly plan: Plan;
  /**
   * Runs one entry. Inputs keep their values from run to run, so only what changed must be given. Never blocks the event
   * loop for the length of a run. One run at a time: a second call waits for the first.
   * @throws QuernError that names the inputs of the entry, if any, that no run or `write` has given a value yet
   */
  run(entry: string, values?: Values): Promise<void>;
  /**
   * A copy of a variable, an input or an output, by name.
   * @param into takes the copy, where a new array for each read would keep the garbage collector busy
   * @throws QuernError for an output of entries that have not run yet
   */
  read(name: string, into?: Float32Array): Promise<Float32Array>;
  /** Sets a variable or an input; a function receives its memory (as f32) and must fill all of it. */
  write(name: string, data: Written): void;
  /** Frees the memory and threads that no other program shares; this one cannot be used afterwards. */
  dispose(): void;
}

/** What other programs need to share a program's variables. */
export interface Inside {
  readonly backend: string;
  readonly slots: ReadonlyMap<string, Slot>;
  readonly image: Image;
  readonly closed: () => boolean;
}

const insides = new WeakMap<Program, Inside>();

/** @throws QuernError for a program that was disposed of, or that `compile` did not make */
export function insideOf(program: Program): Inside {
  const inside = insides.get(program);
  if (!inside) throw new QuernError("variables can only be shared with a program that compile made", { exitCode: 2 });
  if (inside.closed()) {
    throw new QuernError("variables cannot be shared with a program that was disposed of", { exitCode: 2 });
  }
  return inside;
}

/** @param slots names and types of all that can be read and written */
export function createProgram(entries: Entries, slots: ReadonlyMap<string, Slot>, image: Image, plan: Plan): Program {
  const variables = [...slots].flatMap(([name, { kind }]) => (kind === "variable" ? [image.tensor(name)] : []));
  const storages = [...new Set(variables.flatMap(({ storage }) => storage ?? []))];
  for (const storage of storages) storage.retain();
  const queues = [new Queue(), ...image.queues, ...storages];
  const known = knownValues(entries);
  let closed = false;
  const requireOpen = () => {
    if (closed) throw new QuernError("the program was disposed of, and cannot be used any more");
  };
  const write = (name: string, data: Written) => {
    requireOpen();
    const { type } = slotOf(slots, name);
    const tensor = image.tensor(name);
    const exact = tensor.host?.() instanceof Float64Array;
    if (isIdle(queues)) {
      writeNow(tensor, name, data, exact);
    } else {
      // What was begun before still uses the memory; the caller's array may change before that is done.
      const elements = encode(name, type, data, exact);
      const copy = elements === data ? elements.slice() : elements;
      void enqueue(queues, () => tensor.write(copy));
    }
    known.give(name);
  };

  const program: Program = {
    plan,
    async run(entry, values = {}) {
      await enqueue(queues, async () => {
        requireOpen();
        for (const [name, data] of Object.entries(values)) {
          const { type } = slotOf(slots, name);
          const tensor = image.tensor(name);
          tensor.write(encode(name, type, data, tensor.host?.() instanceof Float64Array));
          known.give(name);
        }
        known.check(entry);
        await image.run(entry);
        known.ran(entry);
      });
    },
    async read(name, into) {
      requireOpen();
      const { type } = slotOf(slots, name);
      return enqueue(queues, async () => {
        requireOpen();
        known.checkOutput(name);
        const tensor = image.tensor(name);
        if (!into) return numbersOf(await tensor.read(), type.dtype);
        const size = sizeOf(type.shape);
        if (into.length !== size) throw new ShapeError(`"${name}" has ${size} values, and the array ${into.length}`);
        const host = tensor.host?.();
        into.set(host instanceof Float32Array ? host : numbersOf(await tensor.read(), type.dtype));
        return into;
      });
    },
    write,
    dispose() {
      if (closed) return;
      closed = true;
      // What is under way still uses the memory.
      void enqueue(queues, async () => {
        await image.close();
        for (const storage of storages) storage.release();
      });
    },
  };
  insides.set(program, { backend: plan.backend, slots, image, closed: () => closed });
  return program;
}

function writeNow(tensor: DeviceTensor, name: string, data: Written, exact: boolean): void {
  const memory = tensor.host?.();
  if (typeof data === "function" && memory instanceof Float32Array) data(memory);
  else tensor.write(encode(name, tensor.type, data, exact));
}

/** Which inputs have had a value and which entries ran: memory is zero at first, and zeros that nobody gave would pass for data. */
function knownValues(entries: Entries) {
  const given = new Set<string>();
  /** The inputs of each entry that still wait for a value. */
  const waiting = new Map<string, readonly string[]>();
  const computed = new Set<string>();
  const quoted = (names: readonly string[]) => names.map((name) => `"${name}"`).join(", ");
  return {
    give: (name: string) => void given.add(name),
    ran(entry: string) {
      for (const name of Object.keys(entries[entry].outputs)) computed.add(name);
    },
    /** @throws QuernError for an entry that is not there, or with inputs that were never given */
    check(entry: string) {
      if (!Object.hasOwn(entries, entry)) {
        throw new QuernError(`the program has no entry "${entry}"; it has ${Object.keys(entries).join(", ")}`);
      }
      const inputs =
        waiting.get(entry) ?? nodesOf(entries[entry]).flatMap((node) => (isOp(node, "input") ? [nameOf(node)] : []));
      const missing = [...new Set(inputs)].filter((name) => !given.has(name));
      waiting.set(entry, missing);
      if (missing.length === 0) return;
      throw new QuernError(`the entry "${entry}" needs ${quoted(missing)}, which no run or write has given a value`);
    },
    /** @throws QuernError for an output that no run has computed */
    checkOutput(name: string) {
      if (computed.has(name)) return;
      const makers = Object.keys(entries).filter((entry) => Object.hasOwn(entries[entry].outputs, name));
      if (makers.length === 0) return;
      throw new QuernError(`the output "${name}" has no value yet: run ${quoted(makers)} first`);
    },
  };
}
