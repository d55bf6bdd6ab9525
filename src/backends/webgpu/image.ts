/** @file A loaded program: its buffers on the GPU, its pipelines and bind groups, and its runs, each one command buffer. */
import { QuernError } from "../../errors.js";
import { bytesOf, type TensorType } from "../../tensor/index.js";
import { type DeviceTensor, hostTensor, type Image, type Loadable, Storage } from "../backend.js";
import { type Elements, elementsAt } from "../slots.js";
import { allocate, type Device, outOfMemory } from "./device.js";
import type { Emitted, Launch, Place } from "./emit.js";
import { COMPUTE_STAGE, type GpuBuffer, MAP_READ, USAGE } from "./gpu.js";
import { OFFSETS, shaderOf } from "./shader.js";

/** A tensor of this backend. */
interface GpuTensor extends DeviceTensor {
  readonly buffer: GpuBuffer;
  /** In bytes. */
  readonly offset: number;
}

export interface WebGpuImage extends Image {
  readonly device: Device;
}

/** One launch, ready to be encoded. */
interface Ready {
  readonly pipeline: object;
  readonly group: object;
  readonly offset: number;
  readonly x: number;
  readonly y: number;
}

/** @param blockBytes no buffer crosses a multiple of this offset in the arena */
export async function createImage(
  program: Loadable,
  emitted: Emitted,
  device: Device,
  blockBytes: number,
): Promise<WebGpuImage> {
  const { slots, layout, tables, shared } = program;
  const typeOf = (name: string) => slots.get(name)?.type as TensorType;
  const arenaSizes: number[] = [];
  for (let start = 0; start < layout.bytes; start += blockBytes) {
    arenaSizes.push(Math.min(blockBytes, layout.bytes - start));
  }
  const names = layout.variables.filter((name) => !shared.has(name));
  const { places, sizes } = placeVariables(names, typeOf, blockBytes);
  const buffers = await allocateAll(device, [emitted.scratchBytes, ...arenaSizes, ...sizes]);
  const bytes = buffers.reduce((sum, { size }) => sum + size, 0);
  const blocks = buffers.splice(1 + arenaSizes.length);
  const [scratch, ...arena] = buffers;
  /** Buffers that are freed with the program. */
  const mine = [...buffers];
  const storage = new Storage(() => {
    for (const block of blocks) block.destroy();
  });
  const tensors = new Map<string, DeviceTensor>(shared);
  for (const { name, block, offset } of places) {
    tensors.set(name, gpuTensor(typeOf(name), storage, device, blocks[block], offset));
  }
  const inArena = (at: number) => ({ buffer: arena[Math.floor(at / blockBytes)], offset: at % blockBytes });
  for (const [name, offset] of layout.named) {
    const place = inArena(offset);
    tensors.set(name, gpuTensor(typeOf(name), null, device, place.buffer, place.offset));
  }
  for (const [table, offset] of layout.tables) {
    const place = inArena(offset);
    device.gpu.queue.writeBuffer(place.buffer, place.offset, plain(tables[table]));
  }
  const located = ({ kind, at }: Place): { readonly buffer: GpuBuffer; readonly offset: number } => {
    if (kind === "arena") return inArena(at);
    if (kind === "scratch") return { buffer: scratch, offset: at };
    return tensors.get(layout.variables[at]) as GpuTensor;
  };
  const builder = createBuilder(emitted, device, located, (uniform) => mine.push(uniform));
  const ready = new Map<string, Promise<readonly Ready[]>>();
  return {
    device,
    bytes,
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
    async run(entry) {
      device.check();
      let launches = ready.get(entry);
      if (!launches) {
        launches = builder(emitted.entries[entry]);
        ready.set(entry, launches);
      }
      const encoder = device.gpu.createCommandEncoder();
      const list = await launches;
      const pass = encoder.beginComputePass();
      for (const { pipeline, group, offset, x, y } of list) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group, [offset]);
        pass.dispatchWorkgroups(x, y);
      }
      pass.end();
      device.gpu.queue.submit([encoder.finish()]);
      await device.guard(device.gpu.queue.onSubmittedWorkDone());
    },
    close() {
      for (const buffer of mine) buffer.destroy();
    },
  };
}

/** Builds an entry's pipelines, bind groups and offsets when it first runs; entries share them. */
function createBuilder(
  { kernels }: Emitted,
  { gpu, adapter, guard }: Device,
  located: (place: Place) => { readonly buffer: GpuBuffer; readonly offset: number },
  keep: (uniform: GpuBuffer) => void,
) {
  const step = Math.max(4 * OFFSETS, adapter.limits.minUniformBufferOffsetAlignment);
  const layouts = new Map<number, { readonly group: object; readonly pipeline: object }>();
  const pipelines = new Map<string, Promise<object>>();
  const numbers = new Map<GpuBuffer, number>();

  const layoutOf = (bindings: number) => {
    const known = layouts.get(bindings);
    if (known) return known;
    const buffer = (binding: number, of: object) => ({ binding, visibility: COMPUTE_STAGE, buffer: of });
    const group = gpu.createBindGroupLayout({
      entries: [
        buffer(0, { type: "uniform", hasDynamicOffset: true, minBindingSize: 4 * OFFSETS }),
        ...Array.from({ length: bindings }, (_, i) => buffer(1 + i, { type: "storage" })),
      ],
    });
    const made = { group, pipeline: gpu.createPipelineLayout({ bindGroupLayouts: [group] }) };
    layouts.set(bindings, made);
    return made;
  };

  const pipelineOf = (kernel: number, bindings: readonly number[], count: number): Promise<object> => {
    const key = `${kernel} ${bindings}`;
    const known = pipelines.get(key);
    if (known) return known;
    const { name, text } = kernels[kernel];
    const made = (async () => {
      const module = gpu.createShaderModule({ code: shaderOf(text, bindings) });
      try {
        return await gpu.createComputePipelineAsync({
          layout: layoutOf(count).pipeline,
          compute: { module, entryPoint: "main" },
        });
      } catch (error) {
        const { messages } = await module.getCompilationInfo();
        const found = messages.find(({ type }) => type === "error");
        const why = found ? `line ${found.lineNum}: ${found.message}` : (error as Error).message;
        throw new Error(`the GPU ${adapter.name} cannot compile the kernel ${name}: ${why}`, { cause: error });
      }
    })();
    pipelines.set(key, made);
    return made;
  };

  return async (launches: readonly Launch[]): Promise<readonly Ready[]> => {
    const offsets = new Uint32Array((step / 4) * Math.max(1, launches.length));
    const uniform = gpu.createBuffer({ size: offsets.byteLength, usage: USAGE.uniform | USAGE.copyTo });
    keep(uniform);
    const groups = new Map<string, object>();
    const ready = launches.map(async ({ kernel, places, workgroups }, i) => {
      const buffers: GpuBuffer[] = [];
      const bindings = places.map((place, k) => {
        const { buffer, offset } = located(place);
        offsets[(i * step) / 4 + k] = (offset + (place.plus ?? 0)) / 4;
        if (!buffers.includes(buffer)) buffers.push(buffer);
        return 1 + buffers.indexOf(buffer);
      });
      if (buffers.length > adapter.limits.maxStorageBuffersPerShaderStage) {
        throw new QuernError(
          `the kernel ${kernels[kernel].name} needs ${buffers.length} buffers, but the GPU ${adapter.name} binds at most ` +
            `${adapter.limits.maxStorageBuffersPerShaderStage}; use --backend cpu`,
        );
      }
      for (const buffer of buffers) if (!numbers.has(buffer)) numbers.set(buffer, numbers.size);
      const key = buffers.map((buffer) => numbers.get(buffer)).join();
      const group =
        groups.get(key) ??
        gpu.createBindGroup({
          layout: layoutOf(buffers.length).group,
          entries: [
            { binding: 0, resource: { buffer: uniform, offset: 0, size: 4 * OFFSETS } },
            ...buffers.map((buffer, b) => ({ binding: 1 + b, resource: { buffer } })),
          ],
        });
      groups.set(key, group);
      const y = Math.ceil(workgroups / adapter.limits.maxComputeWorkgroupsPerDimension);
      const pipeline = await pipelineOf(kernel, bindings, buffers.length);
      return { pipeline, group, offset: i * step, x: Math.ceil(workgroups / y), y };
    });
    const list = await guard(Promise.all(ready));
    gpu.queue.writeBuffer(uniform, 0, offsets);
    return list;
  };
}

/** Allocates buffers of these sizes. @throws OutOfMemoryError if the GPU has not enough for all */
async function allocateAll(device: Device, sizes: readonly number[]): Promise<GpuBuffer[]> {
  const buffers: GpuBuffer[] = [];
  const free = () => {
    for (const buffer of buffers) buffer.destroy();
  };
  try {
    for (const size of sizes) {
      const buffer = await allocate(device, size);
      if (buffer === null) break;
      buffers.push(buffer);
    }
  } catch (error) {
    free();
    throw error;
  }
  if (buffers.length === sizes.length) return buffers;
  free();
  throw await outOfMemory(
    device,
    sizes.reduce((total, size) => total + size, 0),
  );
}

/** Places variables in as few buffers as their limit allows. */
function placeVariables(names: readonly string[], typeOf: (name: string) => TensorType, blockBytes: number) {
  const sizes: number[] = [];
  const places = names.map((name) => {
    const bytes = Math.ceil(bytesOf(typeOf(name)) / 256) * 256;
    if (sizes.length === 0 || sizes[sizes.length - 1] + bytes > blockBytes) sizes.push(0);
    const offset = sizes[sizes.length - 1];
    sizes[sizes.length - 1] += bytes;
    return { name, block: sizes.length - 1, offset };
  });
  return { places, sizes };
}

function gpuTensor(
  type: TensorType,
  storage: Storage | null,
  device: Device,
  buffer: GpuBuffer,
  offset: number,
): GpuTensor {
  const bytes = Math.ceil(bytesOf(type) / 4) * 4;
  const { gpu } = device;
  return {
    ...{ type, storage, buffer, offset },
    write(elements) {
      device.check();
      gpu.queue.writeBuffer(buffer, offset, plain(elements));
    },
    async read() {
      const staging = gpu.createBuffer({ size: bytes, usage: USAGE.mapRead | USAGE.copyTo });
      try {
        const encoder = gpu.createCommandEncoder();
        encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
        gpu.queue.submit([encoder.finish()]);
        await device.guard(staging.mapAsync(MAP_READ));
        return elementsAt(type, staging.getMappedRange(0, bytes).slice(0));
      } finally {
        staging.destroy();
      }
    },
  };
}

/** The same bytes as whole words of memory that is not shared, as `writeBuffer` demands. */
function plain(elements: Elements): ArrayBufferView<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = elements;
  if (buffer instanceof ArrayBuffer && byteLength % 4 === 0) return elements as ArrayBufferView<ArrayBuffer>;
  const words = new Uint8Array(Math.ceil(byteLength / 4) * 4);
  words.set(new Uint8Array(buffer, byteOffset, byteLength));
  return words;
}
