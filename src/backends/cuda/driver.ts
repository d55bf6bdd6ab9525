/** @file NVIDIA's driver: one GPU with its memory, programs and graphs of launches. */
import koffi from "koffi";
import { QuernError } from "../../errors.js";
import { type Algorithm, type CublasLt, openCublasLt, type ProductAddresses, type ProductShape } from "./cublaslt.js";
import { findDriver, type Library } from "./libraries.js";

export interface DeviceDescription {
  readonly name: string;
  /** 90 for compute capability 9.0. */
  readonly capability: number;
  readonly multiprocessors: number;
  readonly memory: number;
  /** Newest CUDA version that the driver supports, as in 13.0. */
  readonly driver: string;
}

/** A recorded list of launches. */
export interface Graph {
  /** Runs all launches; resolves when they have finished. */
  run(): Promise<void>;
  close(): void;
}

export interface LaunchOf {
  readonly kernel: string;
  readonly grid: readonly [number, number, number];
  readonly threads: number;
  /** Device addresses. */
  readonly arguments: readonly bigint[];
}

/** A product that cuBLASLt computes. */
export interface ProductOf {
  readonly product: ProductShape;
  readonly algorithm: Algorithm;
  readonly at: ProductAddresses;
}

export interface LoadedModule {
  record(launches: readonly (LaunchOf | ProductOf)[]): Graph;
  close(): void;
}

/** A GPU. Addresses are in its memory. Operations run in call order. */
export interface Device extends DeviceDescription {
  /** Null if it is not installed. */
  readonly cublasLt: CublasLt | null;
  freeMemory(): number;
  /** Returns zeroed memory. @throws QuernError if there is not enough */
  allocate(bytes: number): bigint;
  free(address: bigint): void;
  write(address: bigint, from: NodeJS.TypedArray): void;
  /** Fills `into`, in pieces between which other events run. */
  read(address: bigint, into: NodeJS.TypedArray): Promise<void>;
  load(image: Uint8Array): LoadedModule;
}

const NOT_READY = 600;
const OUT_OF_MEMORY = 2;
/** Attributes of cuDeviceGetAttribute. */
const [MULTIPROCESSORS, MAJOR, MINOR] = [16, 75, 76];
/** Launches that other threads of this process start meanwhile do not disturb a recording. */
const CAPTURE_MODE_THREAD_LOCAL = 1;
/** Bytes that a read copies before it lets other events run. */
const PIECE = 1 << 24;
/** Milliseconds of polling without a timer. */
const IMPATIENT = 3;

type Call = (...given: unknown[]) => number;
const devices = new Map<number, Device>();
let driver: ReturnType<typeof bind> | null = null;

/**
 * Opens a GPU, once per process.
 * @throws QuernError if there is no driver or no such GPU
 */
export function openDevice(ordinal: number): Device {
  const known = devices.get(ordinal);
  if (known) return known;
  driver ??= openDriver();
  const device = deviceOf(driver, ordinal);
  devices.set(ordinal, device);
  return device;
}

function openDriver() {
  const found = findDriver();
  if ("problem" in found) throw new QuernError(`NVIDIA's driver was not found (${found.problem})`);
  const api = bind(found.library);
  const code = api.init(0);
  if (code !== 0) throw new QuernError(`NVIDIA's driver ${found.path} does not start: ${api.explain(code)}`);
  return api;
}

function bind(library: Library) {
  const int = (prototype: string): Call => library.func(`int ${prototype}`) as Call;
  const name = int("cuGetErrorName(int code, _Out_ const char **name)");
  const text = int("cuGetErrorString(int code, _Out_ const char **text)");
  return {
    init: int("cuInit(unsigned int flags)"),
    version: int("cuDriverGetVersion(_Out_ int *version)"),
    count: int("cuDeviceGetCount(_Out_ int *count)"),
    device: int("cuDeviceGet(_Out_ int *device, int ordinal)"),
    deviceName: int("cuDeviceGetName(void *name, int length, int device)"),
    attribute: int("cuDeviceGetAttribute(_Out_ int *value, int attribute, int device)"),
    totalMemory: int("cuDeviceTotalMem_v2(_Out_ size_t *bytes, int device)"),
    retain: int("cuDevicePrimaryCtxRetain(_Out_ void **context, int device)"),
    use: int("cuCtxSetCurrent(void *context)"),
    memory: int("cuMemGetInfo_v2(_Out_ size_t *free, _Out_ size_t *total)"),
    allocate: int("cuMemAlloc_v2(_Out_ uint64_t *address, size_t bytes)"),
    free: int("cuMemFree_v2(uint64_t address)"),
    fill: int("cuMemsetD8_v2(uint64_t address, unsigned char value, size_t bytes)"),
    write: int("cuMemcpyHtoD_v2(uint64_t to, void *from, size_t bytes)"),
    read: int("cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes)"),
    load: int("cuModuleLoadData(_Out_ void **module, void *image)"),
    unload: int("cuModuleUnload(void *module)"),
    function: int("cuModuleGetFunction(_Out_ void **function, void *module, const char *name)"),
    stream: int("cuStreamCreate(_Out_ void **stream, unsigned int flags)"),
    query: int("cuStreamQuery(void *stream)"),
    beginCapture: int("cuStreamBeginCapture_v2(void *stream, int mode)"),
    endCapture: int("cuStreamEndCapture(void *stream, _Out_ void **graph)"),
    instantiate: int("cuGraphInstantiateWithFlags(_Out_ void **executable, void *graph, unsigned long long flags)"),
    destroyGraph: int("cuGraphDestroy(void *graph)"),
    destroyExecutable: int("cuGraphExecDestroy(void *graph)"),
    launchGraph: int("cuGraphLaunch(void *graph, void *stream)"),
    launch: int(
      "cuLaunchKernel(void *function, unsigned int x, unsigned int y, unsigned int z, unsigned int bx, unsigned int by, " +
        "unsigned int bz, unsigned int shared, void *stream, void *parameters, void *extra)",
    ),
    explain(code: number): string {
      const [names, texts]: [string | null][] = [[null], [null]];
      name(code, names);
      text(code, texts);
      return `${texts[0] ?? "unknown error"} (${names[0] ?? code})`;
    },
  };
}

function deviceOf(api: ReturnType<typeof bind>, ordinal: number): Device {
  const check = (code: number, what: string) => {
    if (code !== 0) throw new QuernError(`the GPU cannot ${what}: ${api.explain(code)}`);
  };
  const one = <T>(what: string, f: Call, ...given: unknown[]): T => {
    const out: [T | null] = [null];
    check(f(out, ...given), what);
    return out[0] as T;
  };
  const count = one<number>("be counted", api.count);
  if (ordinal >= count) {
    throw new QuernError(
      count === 0 ? "NVIDIA's driver finds no GPU" : `there is no GPU ${ordinal}: NVIDIA's driver finds ${count}`,
    );
  }
  const device = one<number>("be opened", api.device, ordinal);
  const attribute = (number: number) => one<number>("describe itself", api.attribute, number, device);
  const nameBytes = Buffer.alloc(256);
  check(api.deviceName(nameBytes, nameBytes.length, device), "tell its name");
  const version = one<number>("tell its driver's version", api.version);
  const context = one<bigint>("be used", api.retain, device);
  // The context belongs to a thread, and the process may use several GPUs.
  const use = () => check(api.use(context), "be used");
  use();
  const stream = one<bigint>("open a stream", api.stream, 0);
  const cublasLt = openCublasLt();

  async function wait(): Promise<void> {
    const start = performance.now();
    for (;;) {
      use();
      const code = api.query(stream);
      if (code !== NOT_READY) return check(code, "run the program");
      const isSoon = performance.now() - start < IMPATIENT;
      await new Promise<void>((resolve) => (isSoon ? setImmediate(resolve) : setTimeout(resolve, 1)));
    }
  }

  function load(image: Uint8Array): LoadedModule {
    use();
    const module = one<bigint>("load the program", api.load, image);
    const functions = new Map<string, bigint>();
    const functionOf = (kernel: string): bigint => {
      const known = functions.get(kernel);
      if (known !== undefined) return known;
      const out: [bigint | null] = [null];
      check(api.function(out, module, kernel), `find the kernel ${kernel}`);
      functions.set(kernel, out[0] as bigint);
      return out[0] as bigint;
    };
    return {
      record(launches) {
        use();
        const most = Math.max(1, ...launches.map((launch) => ("product" in launch ? 0 : launch.arguments.length)));
        // The values of the arguments, followed by their addresses.
        const block = koffi.alloc("uint64_t", 2 * most) as unknown as bigint;
        const words = new BigUint64Array(koffi.view(block, 16 * most) as ArrayBuffer);
        for (let i = 0; i < most; i++) words[most + i] = block + BigInt(8 * i);
        check(api.beginCapture(stream, CAPTURE_MODE_THREAD_LOCAL), "record launches");
        let failed: QuernError | null = null;
        try {
          for (const launch of launches) {
            if ("product" in launch) {
              if (cublasLt === null)
                throw new QuernError("cuBLASLt was not found, but the program was compiled with it");
              cublasLt.start(launch.product, launch.algorithm, launch.at, stream);
              continue;
            }
            const { kernel, grid, threads, arguments: values } = launch;
            values.forEach((value, i) => {
              words[i] = value;
            });
            const parameters = block + BigInt(8 * most);
            check(
              api.launch(functionOf(kernel), ...grid, threads, 1, 1, 0, stream, parameters, null),
              `launch ${kernel}`,
            );
          }
        } catch (error) {
          failed = error as QuernError;
        }
        const out: [bigint | null] = [null];
        const code = api.endCapture(stream, out);
        koffi.free(block);
        if (failed) throw failed;
        check(code, "record launches");
        const graph = out[0] as bigint;
        const executable = one<bigint>("prepare the program", api.instantiate, graph, 0);
        check(api.destroyGraph(graph), "prepare the program");
        return {
          async run() {
            use();
            check(api.launchGraph(executable, stream), "start the program");
            await wait();
          },
          close() {
            use();
            api.destroyExecutable(executable);
          },
        };
      },
      close() {
        use();
        api.unload(module);
      },
    };
  }

  return {
    cublasLt,
    name: nameBytes.toString("utf8").replace(/\0.*$/s, ""),
    capability: 10 * attribute(MAJOR) + attribute(MINOR),
    multiprocessors: attribute(MULTIPROCESSORS),
    memory: Number(one<number | bigint>("tell its memory", api.totalMemory, device)),
    driver: `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`,
    freeMemory() {
      use();
      const [free, total]: [number | bigint][] = [[0], [0]];
      check(api.memory(free, total), "tell its free memory");
      return Number(free[0]);
    },
    allocate(bytes) {
      use();
      const out: [bigint | number] = [0];
      const code = api.allocate(out, bytes);
      if (code === OUT_OF_MEMORY) {
        throw new QuernError(
          `the GPU has no ${(bytes / 2 ** 30).toFixed(2)} GiB of free memory for the plan; reduce the batch size, the sequence ` +
            "length or the model size",
        );
      }
      check(code, `allocate ${bytes} bytes`);
      const address = BigInt(out[0]);
      check(api.fill(address, 0, bytes), "clear its memory");
      return address;
    },
    free(address) {
      use();
      check(api.free(address), "free its memory");
    },
    write(address, from) {
      use();
      if (from.byteLength > 0) check(api.write(address, from, from.byteLength), "receive data");
    },
    async read(address, into) {
      const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
      for (let at = 0; at < bytes.length; at += PIECE) {
        if (at > 0) await new Promise<void>((resolve) => setImmediate(resolve));
        use();
        const piece = bytes.subarray(at, at + PIECE);
        check(api.read(piece, address + BigInt(at), piece.length), "return data");
      }
    },
    load,
  };
}
