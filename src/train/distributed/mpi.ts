/**
 * @file The transport of MPI, which clusters have: Open MPI or MPICH (and its kin, such as Intel's), through koffi. Only bytes
 * travel, so that few functions and two handles suffice. Calls run on koffi's threads, one at a time, and the event loop stays
 * free to notice a rank that ends.
 */
import { writeSync } from "node:fs";
import koffi from "koffi";
import { QuernError } from "../../errors.js";
import { OUTBOX_BYTES, type Transport } from "./transport.js";

type Library = ReturnType<typeof koffi.load>;
export type MpiKind = "Open MPI" | "MPICH";

/** The differences between the binary interfaces. */
interface Abi {
  /** File names of the library, by the major versions that are in use, newest first. */
  readonly files: readonly string[];
  /** C type of a handle. */
  readonly handle: "void *" | "int";
  readonly world: (library: Library) => bigint | number;
  readonly byte: (library: Library) => bigint | number;
}

const ABIS: Readonly<Record<MpiKind, Abi>> = {
  // Handles are addresses of objects in the library.
  "Open MPI": {
    files: ["libmpi.so.40", "libmpi.so.80", "libmpi.40.dylib", "libmpi.dylib"],
    handle: "void *",
    world: (library) => library.symbol("ompi_mpi_comm_world"),
    byte: (library) => library.symbol("ompi_mpi_byte"),
  },
  // Handles are numbers, fixed by the common interface of MPICH, Intel MPI and others (mpich.org/abi, 2013).
  MPICH: {
    files: ["libmpich.so.12", "libmpi.so.12", "libmpi.12.dylib", "libpmpi.12.dylib"],
    handle: "int",
    world: () => 0x44000000,
    byte: () => 0x4c00010d,
  },
};

/** One thread at a time calls MPI, not always the same one; the same number in both. */
const THREAD_SERIALIZED = 2;
/** More than the longest text of MPI_Get_library_version, in both. */
const VERSION_BYTES = 8192;

/**
 * Connects to the ranks that an MPI launcher started.
 * @param kinds those that the launcher may be, the likeliest first
 * @param expected number of ranks by the launcher's environment
 * @throws QuernError if no library is found, or it does not belong to the launcher
 */
export function openMpi(kinds: readonly MpiKind[], expected: number, launcher: string): Transport {
  prepareUcx(kinds);
  const { library, path, kind } = loadMpi(kinds, launcher);
  const { handle, ...abi } = ABIS[kind];
  const [world, byte] = [abi.world(library), abi.byte(library)];
  const init = library.func("int MPI_Init_thread(void *count, void *values, int required, void *provided)");
  const provided = new Int32Array(1);
  init(null, null, THREAD_SERIALIZED, provided);
  const finalize = library.func("int MPI_Finalize(void)");
  const number = (name: string) => {
    const result = new Int32Array(1);
    library.func(`int ${name}(${handle} communicator, void *result)`)(world, result);
    return result[0];
  };
  const [rank, size] = [number("MPI_Comm_rank"), number("MPI_Comm_size")];
  if (size !== expected) {
    finalize();
    throw new QuernError(
      `${launcher} started ${expected} ranks, but ${path} (${kind}) sees ${size}: it belongs to another MPI; set QUERN_MPI to ` +
        `the libmpi of ${launcher}`,
    );
  }
  if (provided[0] < THREAD_SERIALIZED) {
    finalize();
    throw new QuernError(`${path} was built without threads (MPI_THREAD_SERIALIZED); use another build of ${kind}`);
  }
  let open = true;
  // A thread may be waiting inside MPI for a rank that ended; an orderly exit would wait for that thread.
  process.once("exit", (code) => {
    if (open) exitAtOnce(code);
  });

  const [outboxAt, inboxAt] = [OUTBOX_BYTES, size * OUTBOX_BYTES].map((bytes) => koffi.alloc("uint8_t", bytes));
  const outbox = new Uint8Array(koffi.view(outboxAt, OUTBOX_BYTES));
  const inbox = new Uint8Array(koffi.view(inboxAt, size * OUTBOX_BYTES));
  const parts = (bytes: number) => Array.from({ length: size }, (_, k) => inbox.subarray(k * bytes, (k + 1) * bytes));
  const all = `(const void *send, int sent, ${handle} a, void *receive, int received, ${handle} b, ${handle} communicator)`;
  const alltoall = library.func(`int MPI_Alltoall${all}`);
  const allgather = library.func(`int MPI_Allgather${all}`);
  const bcast = library.func(`int MPI_Bcast(void *data, int count, ${handle} type, int root, ${handle} communicator)`);
  const move = async (operation: typeof alltoall, bytes: number) => {
    await called(operation, outboxAt, bytes, byte, inboxAt, bytes, byte, world);
    return parts(bytes);
  };
  return {
    ...{ rank, size, name: versionOf(library, kind) },
    outbox: () => outbox,
    exchange: (bytes) => move(alltoall, bytes),
    gather: (bytes) => move(allgather, bytes),
    async broadcast(bytes, root) {
      await called(bcast, outboxAt, bytes, byte, root, world);
      return outbox.subarray(0, bytes);
    },
    close() {
      open = false;
      finalize();
    },
  };
}

/**
 * Sets variables of UCX, the transport of Debian's MPICH, which reads them when it is loaded; those that the user has set stay.
 */
function prepareUcx(kinds: readonly MpiKind[]): void {
  // UCX replaces malloc to watch memory, and both then give back parts of one heap; Node crashed in one of about ten runs.
  process.env.UCX_MEM_EVENTS ??= "n";
  process.env.UCX_HANDLE_ERRORS ??= "none";
  process.env.UCX_WARN_UNUSED_ENV_VARS ??= "n";
  // With puts over TCP, MPI_Finalize of MPICH 4.0 waited forever in 14 of 22 runs on one machine, without them in none of 18.
  // Where ranks have TCP only (`UCX_TLS=tcp,self`), it still does in most.
  process.env.UCX_TCP_PUT_ENABLE ??= "n";
  // MPICH: a read from the memory of a rank that was just killed would end this process too, before it is known why.
  if (kinds.includes("MPICH")) process.env.UCX_TLS ??= "^cma";
}

/** Calls a function on another thread. By default, MPI itself ends the process on an error. */
function called(operation: Library["func"] extends (...of: never[]) => infer F ? F : never, ...values: unknown[]) {
  return new Promise<void>((resolve, reject) => {
    operation.async(...values, (error: unknown, code: number) => {
      if (error || code !== 0) reject(error ?? new QuernError(`MPI failed with error ${code}`));
      else resolve();
    });
  });
}

/** Milliseconds for mpirun to pass on what this process has printed; after the command to end it reads no more. */
const DRAIN_MS = 500;

/**
 * Makes MPICH's mpirun end all ranks when this process ends, which never came to MPI: the others would wait for it forever.
 * Speaks two commands of PMI 1, the protocol between mpirun and its ranks.
 */
export function endOthersAtExit(): void {
  const file = Number(process.env.PMI_FD);
  if (!Number.isInteger(file) || file < 3) return;
  process.once("exit", (code) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, DRAIN_MS);
    writeSync(file, `cmd=init pmi_version=1 pmi_subversion=1\ncmd=abort exitcode=${code || 1}\n`);
  });
}

function exitAtOnce(code: number): void {
  koffi.load(null).func("void _exit(int code)")(code);
}

interface Found {
  readonly library: Library;
  readonly path: string;
  readonly kind: MpiKind;
}

function loadMpi(kinds: readonly MpiKind[], launcher: string): Found {
  const named = process.env.QUERN_MPI;
  const candidates = named ? [named] : kinds.flatMap((kind) => ABIS[kind].files);
  for (const path of candidates) {
    let library: Library;
    try {
      // Open MPI's plugins look for its symbols in the whole process.
      library = koffi.load(path, { global: true });
    } catch {
      continue;
    }
    const kind = kindOf(library);
    if (kind === null) continue;
    if (!kinds.includes(kind)) {
      throw new QuernError(
        `${launcher} is of ${kinds.join(" or ")}, but ${path} is of ${kind}; set QUERN_MPI to the libmpi of ${launcher}`,
      );
    }
    return { library, path, kind };
  }
  const what = named ? `QUERN_MPI=${named} is no MPI library that can be loaded` : "no MPI library was found";
  const install = kinds.map((kind) => (kind === "MPICH" ? "libmpich12" : "libopenmpi3")).join(" or ");
  throw new QuernError(
    `${launcher} started several ranks, but ${what}; install ${install}, or set QUERN_MPI to the path of its libmpi`,
  );
}

/** Which MPI a library is, by a symbol that only it has; null for any other library. */
function kindOf(library: Library): MpiKind | null {
  try {
    library.symbol("MPI_Init_thread");
  } catch {
    return null;
  }
  try {
    library.symbol("ompi_mpi_comm_world");
    return "Open MPI";
  } catch {
    return "MPICH";
  }
}

/** `Open MPI 4.1.4`, of texts such as `Open MPI v4.1.4, package: …` and `MPICH Version: 4.0.2 …`. */
function versionOf(library: Library, kind: MpiKind): string {
  const text = Buffer.alloc(VERSION_BYTES);
  library.func("int MPI_Get_library_version(void *text, void *length)")(text, new Int32Array(1));
  const number = /\d+(\.\d+)+/.exec(text.toString("latin1"))?.[0];
  return number === undefined ? kind : `${kind} ${number}`;
}
