/** @file The `webgpu` backend: WGSL through Dawn in Node, or through the browser's own WebGPU. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { QuernError } from "../../errors.js";
import type { Backend, Target } from "../backend.js";
import { type AdapterReport, type Device, examineAdapter, openDevice } from "./device.js";
import { type Emitted, emitProgram, type Traits } from "./emit.js";
import type { Gpu } from "./gpu.js";
import { createImage, type WebGpuImage } from "./image.js";
import { shaderOf } from "./shader.js";

/** Options of the `webgpu` backend. */
export interface WebGpuOptions {
  /** Another WebGPU than this process's. Its device is opened for this program, and for those that share its variables. */
  readonly gpu?: Gpu;
}

interface WebGpuTarget extends Target {
  readonly device: Device;
}

const PROGRAM = "webgpu.json";
const SOURCE = "program.wgsl";
/** Offsets in the arena are multiples of this: the largest alignment that a binding can need. */
const ALIGNMENT = 256;

/** The one device of this process is used. Products in bf16 round their operands, but are not faster. */
export const webgpu: Backend<WebGpuOptions, WebGpuTarget> = {
  name: "webgpu",

  async choose(options, beside) {
    const device = (beside as WebGpuImage | null)?.device ?? (await openDevice(options?.gpu));
    device.check();
    const { isSoftware } = device.adapter;
    return {
      name: nameOf(device.adapter),
      threads: 1,
      key: JSON.stringify([device.adapter.name, traitsOf(device)]),
      files: [PROGRAM],
      source: SOURCE,
      bf16Pays: async () => false,
      ...(isSoftware ? {} : { hasOwnMemory: true }),
      device,
    };
  },

  limits: ({ device }) => ({ alignment: ALIGNMENT, maxBindingBytes: bindingBytes(device) }),

  async lower(graph, { device }, folder) {
    const emitted = emitProgram(graph, traitsOf(device));
    await writeFile(join(folder, PROGRAM), JSON.stringify(emitted));
    await writeFile(join(folder, SOURCE), readable(emitted));
    const launches = Object.entries(emitted.entries).map(([name, list]) => [name, list.length] as const);
    return { kernels: emitted.kernels.length, launches: Object.fromEntries(launches) };
  },

  async open(program, { device }) {
    const emitted = JSON.parse(await readFile(join(program.folder, PROGRAM), "utf8")) as Emitted;
    return createImage(program, emitted, device, bindingBytes(device));
  },

  async examineGpu() {
    try {
      const adapter = await examineAdapter();
      return { backend: "webgpu", gpu: nameOf(adapter), isSoftware: adapter.isSoftware };
    } catch (error) {
      if (!(error instanceof QuernError)) throw error;
      return { backend: "webgpu", gpu: null, problem: error.message };
    }
  },
};

const nameOf = ({ name, isSoftware }: AdapterReport) => (isSoftware ? `${name}, a software adapter` : name);

/** Subgroups are used where they have four threads, as SwiftShader's: no other size could be tested. */
const traitsOf = ({ adapter: { limits, subgroupSize } }: Device): Traits => ({
  workgroupBytes: limits.maxComputeWorkgroupStorageSize,
  lanes: subgroupSize === 4 ? subgroupSize : null,
});

/** The largest binding, as a multiple of the alignment. */
function bindingBytes({ adapter: { limits } }: Device): number {
  const bytes = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  return Math.floor(bytes / ALIGNMENT) * ALIGNMENT;
}

/** The shaders one after the other, each with a binding per operand. */
function readable({ kernels, entries }: Emitted): string {
  const operands = new Map<number, number>();
  for (const { kernel, places } of Object.values(entries).flat()) operands.set(kernel, places.length);
  return kernels
    .map(({ name, text }, i) => {
      const bindings = Array.from({ length: operands.get(i) ?? 0 }, (_, k) => 1 + k);
      return `// ---- ${name}\n${shaderOf(text, bindings)}`;
    })
    .join("\n");
}
