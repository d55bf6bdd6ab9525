/** @file The GPU of this process: found on first use, shared by all programs, opened again after it was lost. */
import { OutOfMemoryError, QuernError } from "../../errors.js";
import { type Gpu, type GpuAdapter, type GpuBuffer, type GpuDevice, type GpuLimits, USAGE } from "./gpu.js";

export const INSTALL = "npm install webgpu";

/** What is known of an adapter, and what limits the code for it. */
export interface AdapterReport {
  /** `swiftshader (SwiftShader driver 5.0.0)` */
  readonly name: string;
  /** Whether it computes on the processor. */
  readonly isSoftware: boolean;
  /** Threads of a subgroup; null if the number varies, or if there are no subgroups. */
  readonly subgroupSize: number | null;
  readonly f16: boolean;
  readonly limits: GpuLimits;
}

/** An open device, and why it cannot be used any more, if it cannot. */
export interface Device {
  readonly gpu: GpuDevice;
  readonly adapter: AdapterReport;
  /** @throws QuernError if the device was lost or reported an error */
  check(): void;
  /** Rejects with the error of `check` if the device is lost before `work` ends. */
  guard<T>(work: Promise<T>): Promise<T>;
}

interface Found {
  readonly adapter: GpuAdapter;
  readonly report: AdapterReport;
}

/**
 * Kernels write workgroup memory before they read it, and check their own bounds, as the C kernels do. Without these checks of Dawn,
 * SwiftShader compiles a matrix product in 60 ms instead of 1,300 ms.
 */
const DAWN_FEATURES = "disable_workgroup_init,disable_robustness";

let gpu: Gpu | undefined;
let open: Promise<Device> | undefined;

const WANTED_LIMITS = [
  "maxStorageBuffersPerShaderStage",
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupsPerDimension",
  "minUniformBufferOffsetAlignment",
] as const satisfies readonly (keyof GpuLimits)[];

/** The smallest limits that the kernels need: the defaults of the specification. */
const NEEDED: Partial<GpuLimits> = {
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
};

/** The browser's WebGPU, or Dawn's in Node. @throws QuernError with the command that installs it */
async function findGpu(): Promise<Gpu> {
  if (gpu !== undefined) return gpu;
  const browser = (globalThis as { navigator?: { gpu?: Gpu } }).navigator?.gpu;
  if (browser) {
    gpu = browser;
    return gpu;
  }
  const name = "webgpu"; // a variable, so that bundlers and the type checker do not look for the optional package
  try {
    const dawn = (await import(name)) as { create(flags: readonly string[]): Gpu };
    gpu = dawn.create([`enable-dawn-features=${DAWN_FEATURES}`]);
    return gpu;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ERR_MODULE_NOT_FOUND" && message.includes(`'${name}'`)) {
      throw new QuernError(`the backend webgpu needs the package webgpu (Dawn, 132 MB): ${INSTALL}`, { cause });
    }
    throw new QuernError(`the package webgpu cannot be loaded here (${message.split("\n")[0]}); use --backend cpu`, {
      cause,
    });
  }
}

async function findAdapter(from?: Gpu): Promise<Found> {
  const adapter = await (from ?? (await findGpu())).requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new QuernError(
      "no GPU was found: on Linux, WebGPU needs a Vulkan driver and libvulkan1 (apt-get install libvulkan1 mesa-vulkan-drivers); " +
        "use --backend cpu",
    );
  }
  const { info, features, limits } = adapter;
  const names = [info.vendor, info.architecture, info.device].filter((part) => part && !/^0x|subzero/.test(part));
  return {
    adapter,
    report: {
      name: `${[...new Set(names)].join(" ") || "unknown GPU"}${info.description ? ` (${info.description})` : ""}`,
      isSoftware:
        info.isFallbackAdapter === true ||
        /swiftshader|llvmpipe|lavapipe|software|basic render/i.test(JSON.stringify(textsOf(info))),
      subgroupSize:
        features.has("subgroups") && info.subgroupMinSize === info.subgroupMaxSize
          ? (info.subgroupMinSize ?? null)
          : null,
      f16: features.has("shader-f16"),
      limits,
    },
  };
}

const textsOf = ({ vendor, architecture, device, description }: GpuAdapter["info"]) => [
  vendor,
  architecture,
  device,
  description,
];

/** Describes the adapter. @throws QuernError if there is none, with what to install */
export async function examineAdapter(): Promise<AdapterReport> {
  return (await findAdapter()).report;
}

/**
 * Opens the device, or returns the open one.
 * @param from another WebGPU than this process's, whose device is not shared
 * @throws QuernError if there is none or its limits are too small
 */
export function openDevice(from?: Gpu): Promise<Device> {
  if (from) return requestDevice(from);
  open ??= requestDevice().catch((error: unknown) => {
    open = undefined;
    throw error;
  });
  return open;
}

async function requestDevice(from?: Gpu): Promise<Device> {
  const { adapter, report } = await findAdapter(from);
  for (const [limit, least] of Object.entries(NEEDED)) {
    const has = adapter.limits[limit as keyof GpuLimits];
    if (has < least) {
      throw new QuernError(
        `the GPU ${report.name} is too small: its ${limit} is ${has}, but ${least} are needed; use --backend cpu`,
      );
    }
  }
  const device = await adapter.requestDevice({
    requiredFeatures: ["subgroups", "shader-f16"].filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(WANTED_LIMITS.map((limit) => [limit, adapter.limits[limit]])),
  });
  let problem: QuernError | undefined;
  const lost = device.lost.then(({ reason, message }) => {
    if (from === undefined) open = undefined;
    problem ??= new QuernError(
      `the GPU ${report.name} was lost (${message.split("\n")[0] || reason}): continue from the last checkpoint, or use --backend cpu`,
    );
    throw problem;
  });
  lost.catch(() => {});
  device.addEventListener("uncapturederror", ({ error }) => {
    problem ??= new QuernError(`the GPU ${report.name} refused an operation: ${error.message.split("\n")[0]}`);
  });
  const check = () => {
    if (problem) throw problem;
  };
  return {
    gpu: device,
    adapter: report,
    check,
    async guard(work) {
      try {
        const result = await Promise.race([work, lost as Promise<never>]);
        check();
        return result;
      } catch (error) {
        // Work that fails because the device is lost may fail before the device says so.
        await new Promise((resolve) => setTimeout(resolve, 0));
        check();
        throw error;
      }
    },
  };
}

/** Allocates zeroed memory that kernels can access; returns null if the GPU has not enough. */
export async function allocate({ gpu, guard }: Device, bytes: number): Promise<GpuBuffer | null> {
  gpu.pushErrorScope("validation");
  gpu.pushErrorScope("out-of-memory");
  const size = Math.max(256, Math.ceil(bytes / 256) * 256);
  const buffer = gpu.createBuffer({ size, usage: USAGE.storage | USAGE.copyFrom | USAGE.copyTo });
  const [full, invalid] = await guard(Promise.all([gpu.popErrorScope(), gpu.popErrorScope()]));
  if (!full && !invalid) return buffer;
  buffer.destroy();
  return null;
}

/** Free memory is measured with buffers no smaller than this. */
const SMALLEST_PROBE = 1 << 20;

/**
 * The error for a program of `needed` bytes that did not fit; nothing of it is allocated any more. WebGPU does not report free memory, so
 * it is measured: buffers are allocated and freed again.
 */
export async function outOfMemory(device: Device, needed: number): Promise<OutOfMemoryError> {
  const free = await measureFree(device, needed);
  const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  return new OutOfMemoryError(
    `the plan needs ${gigabytes(needed)} of memory, but the GPU ${device.adapter.name} can allocate only ${gigabytes(free)}`,
    { needed, free },
  );
}

/** The bytes that can be allocated, at most `limit`. */
async function measureFree(device: Device, limit: number): Promise<number> {
  const buffers: GpuBuffer[] = [];
  let free = 0;
  let size = Math.min(limit, device.adapter.limits.maxBufferSize);
  try {
    while (size >= SMALLEST_PROBE && free < limit) {
      const bytes = Math.min(size, limit - free);
      const buffer = await allocate(device, bytes);
      if (buffer === null) {
        size = Math.floor(bytes / 2);
        continue;
      }
      buffers.push(buffer);
      free += bytes;
    }
    return Math.min(free, limit);
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}
