/**
 * @file The ranks of a run and what they do together: the collective operations. Sums are taken in the order of the ranks, in
 * fp32 (values) or fp64 (statistics), whatever moves the data and whenever it arrives. So a run has the same bits every time.
 *
 * A sum over ranks takes two moves: each rank receives its share of the values from all others and adds them up, then all ranks
 * receive all sums. Each rank sends and receives 2 · (N − 1) / N of the values, the least possible (Patarasuk and Yuan 2009,
 * "Bandwidth optimal all-reduce algorithms for clusters of workstations").
 */
import { OUTBOX_BYTES, type Transport } from "./transport.js";

/** Operations that all ranks must call in the same order; they work in place, on memory outside JavaScript's heap. */
export interface Ranks {
  /** This process's number, from 0. Rank 0 prints and writes. */
  readonly rank: number;
  /** Number of ranks, N. */
  readonly size: number;
  /** Name of each rank's machine. */
  readonly nodes: readonly string[];
  /** What moves the data: `shared memory`, `Open MPI 4.1.4`; "" for a single rank. */
  readonly transport: string;
  /** Seconds spent in operations so far, waiting for other ranks included. */
  readonly seconds: number;
  /** Replaces each tensor by its sum over all ranks. */
  allReduce(tensors: readonly Float32Array[]): Promise<void>;
  /** As `allReduce`, but each rank gets the sums of its own tensors only; the others' contents are then undefined. */
  reduceScatter(tensors: readonly Float32Array[], owners: readonly number[]): Promise<void>;
  /** Copies each tensor from its owner to all ranks. */
  allGather(tensors: readonly Float32Array[], owners: readonly number[]): Promise<void>;
  /** Copies the tensors of rank `root` to all ranks. */
  broadcast(tensors: readonly Float32Array[], root: number): Promise<void>;
  /** Resolves once all ranks have called it. */
  barrier(): Promise<void>;
  /** Returns every rank's numbers, by rank. All ranks give equally many. */
  gatherNumbers(values: ArrayLike<number>): Promise<readonly Float64Array[]>;
  /** Returns every rank's message, by rank; a message is any JSON. */
  share<T>(message: T): Promise<readonly T[]>;
}

/** The run of a single process: every operation leaves all as it is. */
export const oneRank: Ranks = {
  ...{ rank: 0, size: 1, nodes: [""], transport: "", seconds: 0 },
  allReduce: async () => {},
  reduceScatter: async () => {},
  allGather: async () => {},
  broadcast: async () => {},
  barrier: async () => {},
  gatherNumbers: async (values) => [Float64Array.from(values)],
  share: async (message) => [message],
};

/** Numbers per round that every transport moves at once. */
const NUMBERS = OUTBOX_BYTES / 8;

/**
 * @param unlessLost wraps every wait for other ranks; it rejects when one of them has ended
 */
export function createRanks(
  transport: Transport,
  nodes: readonly string[] = [],
  unlessLost: <T>(wait: Promise<T>) => Promise<T> = (wait) => wait,
): Ranks {
  const { rank, size } = transport;
  /** Floats that a rank adds up per round: a whole number of cache lines. */
  const share = Math.floor(OUTBOX_BYTES / 4 / size / 16) * 16;
  let seconds = 0;
  const timed = async <T>(work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    try {
      return await unlessLost(work());
    } finally {
      seconds += (performance.now() - start) / 1000;
    }
  };

  /** Adds up the parts that each rank sent, and returns the sums in memory that the next operation may send. */
  const sums = async (count: number): Promise<Float32Array> => {
    const parts = (await transport.exchange(4 * count)).map(floats);
    const result = floats(transport.outbox()).subarray(0, count);
    addInOrder(parts, result);
    return result;
  };

  const gatherBytes = async (bytes: Uint8Array): Promise<Uint8Array[]> => {
    transport.outbox().set(bytes);
    return (await transport.gather(bytes.length)).map((part) => part.slice());
  };

  const allReduce = async (tensors: readonly Float32Array[]) => {
    const sequence = sequenceOf(tensors);
    for (let start = 0; start < sequence.length; start += size * share) {
      // Each rank adds up the same share of what is left, and the last ones less or nothing.
      const count = Math.min(share, Math.ceil((sequence.length - start) / size));
      const range = (k: number) => [start + k * count, Math.min(start + (k + 1) * count, sequence.length)] as const;
      const box = floats(transport.outbox());
      for (let k = 0; k < size; k++) sequence.copyOut(...range(k), box.subarray(k * count));
      await sums(count);
      const all = await transport.gather(4 * count);
      all.forEach((part, k) => {
        sequence.copyIn(...range(k), floats(part));
      });
    }
  };

  /** Each owner's tensors as a sequence, and how many rounds of `floatsPerRound` the longest takes. */
  const owned = (tensors: readonly Float32Array[], owners: readonly number[], floatsPerRound: number) => {
    const sequences = Array.from({ length: size }, (_, k) => sequenceOf(tensors.filter((_, i) => owners[i] === k)));
    const longest = Math.max(...sequences.map(({ length }) => length));
    return { sequences, longest, rounds: Math.ceil(longest / floatsPerRound) };
  };

  return {
    ...{ rank, size, nodes, transport: transport.name },
    get seconds() {
      return seconds;
    },
    allReduce: (tensors) => timed(() => allReduce(tensors)),
    reduceScatter: (tensors, owners) =>
      timed(async () => {
        const { sequences, longest, rounds } = owned(tensors, owners, share);
        for (let round = 0; round < rounds; round++) {
          const start = round * share;
          const count = Math.min(share, longest - start);
          const box = floats(transport.outbox());
          sequences.forEach((sequence, k) => {
            sequence.copyOut(start, Math.min(start + count, sequence.length), box.subarray(k * count));
          });
          const result = await sums(count);
          sequences[rank].copyIn(start, Math.min(start + count, sequences[rank].length), result);
        }
      }),
    allGather: (tensors, owners) =>
      timed(async () => {
        const perRound = OUTBOX_BYTES / 4;
        const { sequences, longest, rounds } = owned(tensors, owners, perRound);
        for (let round = 0; round < rounds; round++) {
          const start = round * perRound;
          const count = Math.min(perRound, longest - start);
          const end = ({ length }: Sequence) => Math.min(start + count, length);
          sequences[rank].copyOut(start, end(sequences[rank]), floats(transport.outbox()));
          const all = await transport.gather(4 * count);
          sequences.forEach((sequence, k) => {
            if (k !== rank) sequence.copyIn(start, end(sequence), floats(all[k]));
          });
        }
      }),
    broadcast: (tensors, root) =>
      timed(async () => {
        const sequence = sequenceOf(tensors);
        for (let start = 0; start < sequence.length; start += OUTBOX_BYTES / 4) {
          const end = Math.min(start + OUTBOX_BYTES / 4, sequence.length);
          if (rank === root) sequence.copyOut(start, end, floats(transport.outbox()));
          const received = await transport.broadcast(4 * (end - start), root);
          if (rank !== root) sequence.copyIn(start, end, floats(received));
        }
      }),
    barrier: () =>
      timed(async () => {
        await transport.gather(8);
      }),
    gatherNumbers: (values) =>
      timed(async () => {
        const own = Float64Array.from(values);
        const all = Array.from({ length: size }, () => new Float64Array(own.length));
        for (let from = 0; from < own.length; from += NUMBERS) {
          const part = own.subarray(from, from + NUMBERS);
          const received = await gatherBytes(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
          received.forEach((bytes, k) => {
            all[k].set(new Float64Array(bytes.buffer), from);
          });
        }
        return all;
      }),
    share: <T>(message: T) =>
      timed(async () => {
        const text = Buffer.from(JSON.stringify(message ?? null));
        const lengths = await gatherBytes(new Uint8Array(new Uint32Array([text.length]).buffer));
        const total = lengths.map((bytes) => new Uint32Array(bytes.buffer)[0]);
        const texts = total.map((length) => Buffer.alloc(length));
        for (let from = 0; from < Math.max(...total); from += OUTBOX_BYTES) {
          const length = Math.min(OUTBOX_BYTES, Math.max(...total) - from);
          const part = new Uint8Array(length);
          part.set(text.subarray(from, from + length));
          (await gatherBytes(part)).forEach((bytes, k) => {
            if (from < total[k]) texts[k].set(bytes.subarray(0, total[k] - from), from);
          });
        }
        return texts.map((each) => JSON.parse(each.toString()) as T);
      }),
  };
}

const floats = (bytes: Uint8Array) => new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);

/** Adds in the order of the parts, rounding each sum to fp32: ((a + b) + c) + … */
function addInOrder([first, second, ...others]: readonly Float32Array[], result: Float32Array): void {
  for (let i = 0; i < result.length; i++) result[i] = first[i] + second[i];
  for (const part of others) for (let i = 0; i < result.length; i++) result[i] += part[i];
}

/** Tensors seen as one sequence of floats, in their order. */
interface Sequence {
  readonly length: number;
  /** Copies floats [from, to) of the sequence to the start of `target`. */
  copyOut(from: number, to: number, target: Float32Array): void;
  /** Copies the start of `source` to floats [from, to) of the sequence. */
  copyIn(from: number, to: number, source: Float32Array): void;
}

function sequenceOf(tensors: readonly Float32Array[]): Sequence {
  let length = 0;
  const starts = tensors.map((tensor) => {
    length += tensor.length;
    return length - tensor.length;
  });
  /** Calls `copy` with the part of each tensor that is in [from, to), and that part's place after `from`. */
  const parts = (from: number, to: number, copy: (part: Float32Array, place: number) => void) => {
    tensors.forEach((tensor, i) => {
      const [begin, end] = [Math.max(from, starts[i]), Math.min(to, starts[i] + tensor.length)];
      if (begin < end) copy(tensor.subarray(begin - starts[i], end - starts[i]), begin - from);
    });
  };
  return {
    length,
    copyOut: (from, to, target) => parts(from, to, (part, place) => target.set(part, place)),
    copyIn: (from, to, source) =>
      parts(from, to, (part, place) => part.set(source.subarray(place, place + part.length))),
  };
}
