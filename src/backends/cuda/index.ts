/** @file The `cuda` backend: compiles CUDA C++ by NVRTC, and runs each entry as one graph of launches on an NVIDIA GPU. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { QuernError } from "../../errors.js";
import { bytesOf, type TensorType } from "../../tensor/index.js";
import {
  type Backend,
  type DeviceTensor,
  hostTensor,
  type Image,
  type Loadable,
  Storage,
  type Target,
} from "../backend.js";
import { type Elements, elementsAt } from "../slots.js";
import { type Device, type Graph, openDevice } from "./driver.js";
import { emitProgram, type Launches, type Place } from "./emit.js";
import { architectureFor, openNvrtc } from "./nvrtc.js";
import { ALIGNMENT, aligned } from "./step.js";

export interface CudaOptions {
  /** Number of the GPU, from 0. Default: `QUERN_CUDA_DEVICE`, else 0. */
  readonly device?: number;
}

interface CudaTarget extends Target {
  readonly device: Device;
  readonly ordinal: number;
  /** `sm_90a`, or `compute_90` for a GPU that is newer than NVRTC. */
  readonly architecture: string;
}

interface CudaImage extends Image {
  readonly device: Device;
  readonly ordinal: number;
}

const SOURCE_FILE = "program.cu";
const IMAGE_FILE = "program.cubin";
const LAUNCHES_FILE = "launches.json";
/** Programs use only some of the templates. */
const QUIET = ["--diag-suppress=177"];
/** bf16 on tensor cores needs Ampere. */
const LEAST_CAPABILITY = 80;
/** e4m3 on tensor cores needs Ada. */
const LEAST_FOR_FP8 = 89;

export const cuda: Backend<CudaOptions, CudaTarget> = {
  name: "cuda",
  multipliesInFp8: true,

  async choose(options = {}, beside, dtype) {
    const ordinal = options.device ?? (beside as CudaImage | null)?.ordinal ?? ordinalOf(process.env.QUERN_CUDA_DEVICE);
    const device = openDevice(ordinal);
    if (beside && (beside as CudaImage).device !== device) {
      throw new QuernError("programs on different GPUs cannot share variables", { exitCode: 2 });
    }
    if (device.capability < LEAST_CAPABILITY) {
      throw new QuernError(
        `the GPU ${device.name} has compute capability ${device.capability / 10}, but 8.0 (Ampere) or newer is needed`,
      );
    }
    if (dtype === "fp8" && device.capability < LEAST_FOR_FP8) {
      throw new QuernError(
        `the GPU ${device.name} has compute capability ${device.capability / 10}, but fp8 needs 8.9 (Ada) or newer; use --dtype bf16`,
        { exitCode: 2 },
      );
    }
    const nvrtc = openNvrtc();
    const architecture = architectureFor(device.capability, nvrtc.architectures);
    const { cublasLt } = device;
    return {
      name: architecture,
      threads: 1,
      // An algorithm is valid for one version of cuBLASLt on one GPU.
      key: JSON.stringify([architecture, nvrtc.version, ...(cublasLt ? [cublasLt.version, device.name] : [])]),
      files: [IMAGE_FILE, LAUNCHES_FILE],
      source: SOURCE_FILE,
      bf16Pays: async () => true,
      hasOwnMemory: true,
      device,
      ordinal,
      architecture,
    };
  },

  limits: () => ({ alignment: ALIGNMENT, maxBindingBytes: Number.POSITIVE_INFINITY, storesBf16: true }),

  async lower(graph, { architecture, device: { cublasLt } }, folder) {
    const { source, kernels, entries, bytes } = emitProgram(graph, cublasLt && ((shape) => cublasLt.choose(shape)));
    await writeFile(join(folder, SOURCE_FILE), source);
    const { image } = await openNvrtc().compile(source, architecture, QUIET);
    await writeFile(join(folder, IMAGE_FILE), image);
    const launches: Launches = { entries, bytes };
    await writeFile(join(folder, LAUNCHES_FILE), JSON.stringify(launches));
    const counted = Object.entries(entries).map(([name, list]) => [name, list.length] as const);
    return { kernels, launches: Object.fromEntries(counted) };
  },

  async open(program, { device, ordinal }) {
    const { folder } = program;
    const launches = JSON.parse(await readFile(join(folder, LAUNCHES_FILE), "utf8")) as Launches;
    return { ...createImage(program, launches, await readFile(join(folder, IMAGE_FILE)), device), device, ordinal };
  },

  async examineGpu() {
    try {
      return { backend: "cuda", gpu: describeGpu() };
    } catch (error) {
      if (!(error instanceof QuernError)) throw error;
      return { backend: "cuda", gpu: null, problem: error.message };
    }
  },
};

/** The GPU, the driver and the compiler in one line. */
function describeGpu(): string {
  const { name, capability, memory, driver, cublasLt } = openDevice(ordinalOf(process.env.QUERN_CUDA_DEVICE));
  const { version } = openNvrtc();
  const products = cublasLt ? `cuBLASLt ${cublasLt.version}` : "no cuBLASLt: Quern's own matrix products";
  const gibibytes = (memory / 2 ** 30).toFixed(1);
  return `${name}, compute capability ${capability / 10}, ${gibibytes} GiB, driver for CUDA ${driver}, NVRTC ${version}, ${products}`;
}

function ordinalOf(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new QuernError(`QUERN_CUDA_DEVICE must be the number of a GPU, not "${text}"`, { exitCode: 2 });
}

interface DeviceVariable extends DeviceTensor {
  readonly address: bigint;
}

function createImage(
  { slots, layout, tables, shared }: Loadable,
  { entries: launches, bytes }: Launches,
  image: Uint8Array,
  device: Device,
): Image {
  const typeOf = (name: string) => slots.get(name)?.type as TensorType;
  const arena = device.allocate(Math.max(bytes, ALIGNMENT));
  const close: (() => void)[] = [() => device.free(arena)];
  const undo = () => {
    for (const each of close.splice(0).reverse()) each();
  };
  try {
    const module = device.load(image);
    close.push(() => module.close());
    const own = placeVariables(
      layout.variables.filter((name) => !shared.has(name)),
      typeOf,
      device,
    );
    const tensors = new Map<string, DeviceTensor>([...own.variables, ...shared]);
    for (const [i, offset] of layout.tables) device.write(arena + BigInt(offset), tables[i]);
    for (const [name, offset] of layout.named) {
      tensors.set(name, tensorAt(device, typeOf(name), null, arena + BigInt(offset)));
    }
    const variables = layout.variables.map((name) => (tensors.get(name) as DeviceVariable).address);
    const addressOf = (place: Place) =>
      "arena" in place ? arena + BigInt(place.arena) : variables[place.variable] + BigInt(place.bytes);
    const graphs = new Map<string, Graph>();
    const graphOf = (entry: string): Graph | null => {
      const known = graphs.get(entry);
      if (known || launches[entry].length === 0) return known ?? null;
      const graph = module.record(
        launches[entry].map((launch) => {
          const addresses = launch.arguments.map(addressOf);
          if (!("product" in launch)) return { ...launch, arguments: addresses };
          const [a, b, c, workspace, bias = 0n] = addresses;
          return { ...launch, at: { a, b, c, workspace, bias } };
        }),
      );
      close.push(() => graph.close());
      graphs.set(entry, graph);
      return graph;
    };
    for (const run of Object.keys(launches)) graphOf(run);
    return {
      bytes: bytes + own.bytes,
      queues: [],
      tensor(name) {
        const known = tensors.get(name);
        if (known) return known;
        // An input that no kernel reads has no place in the arena; its value is stored here.
        const type = typeOf(name);
        const tensor = hostTensor(type, null, () => elementsAt(type, new ArrayBuffer(bytesOf(type))));
        tensors.set(name, tensor);
        return tensor;
      },
      run: async (entry) => graphOf(entry)?.run(),
      close: undo,
    };
  } catch (error) {
    undo();
    throw error;
  }
}

function tensorAt(device: Device, type: TensorType, storage: Storage | null, address: bigint): DeviceVariable {
  return {
    type,
    storage,
    address,
    write: (elements) => device.write(address, elements),
    async read() {
      const elements: Elements = elementsAt(type, new ArrayBuffer(bytesOf(type)));
      await device.read(address, elements);
      return elements;
    },
  };
}

/** Allocates variables in one block of memory. */
function placeVariables(names: readonly string[], typeOf: (name: string) => TensorType, device: Device) {
  const variables = new Map<string, DeviceVariable>();
  if (names.length === 0) return { variables, bytes: 0 };
  const offsets: number[] = [];
  let bytes = 0;
  for (const name of names) {
    offsets.push(bytes);
    bytes += aligned(bytesOf(typeOf(name)));
  }
  const block = device.allocate(Math.max(bytes, ALIGNMENT));
  const storage = new Storage(() => device.free(block));
  names.forEach((name, i) => {
    variables.set(name, tensorAt(device, typeOf(name), storage, block + BigInt(offsets[i])));
  });
  return { variables, bytes };
}
