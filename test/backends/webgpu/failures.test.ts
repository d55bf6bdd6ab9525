/** What goes wrong on a GPU: limits that are too small, too little memory, a lost device. Each is one sentence, and nothing hangs. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compile, OutOfMemoryError, type Program } from "../../../src/backends/index.js";
import type { Gpu, GpuAdapter, GpuBuffer, GpuDevice } from "../../../src/backends/webgpu/gpu.js";
import * as q from "../../../src/tensor/index.js";
import { because, dawn, problem } from "./adapter.js";

const w = q.variable("w", [1 << 20]);
const entries: q.Entries = { step: { outputs: { y: q.sum(q.mul(w, 2)) }, assign: [[w, q.add(w, 1)]] } };
const on = (gpu: Gpu): Promise<Program> => compile(entries, { backend: "webgpu", webgpu: { gpu } });

const LIMITS: GpuAdapter["limits"] = {
  maxStorageBuffersPerShaderStage: 8,
  maxStorageBufferBindingSize: 1 << 27,
  maxBufferSize: 1 << 28,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupsPerDimension: 65535,
  minUniformBufferOffsetAlignment: 256,
};

/** A WebGPU whose adapter has these limits, and whose device cannot be opened. */
const withLimits = (limits: Partial<GpuAdapter["limits"]>): Gpu => ({
  requestAdapter: async () => ({
    info: { vendor: "acme", architecture: "tiny", device: "", description: "" },
    features: new Set(),
    limits: { ...LIMITS, ...limits },
    requestDevice: async () => {
      throw new Error("the device was requested");
    },
  }),
});

describe("a GPU that cannot be used", () => {
  it.each([
    ["maxComputeInvocationsPerWorkgroup", 128, 256],
    ["maxComputeWorkgroupStorageSize", 8192, 16384],
    ["maxStorageBuffersPerShaderStage", 4, 8],
  ] as const)("is refused for its %s", async (limit, has, least) => {
    await expect(on(withLimits({ [limit]: has }))).rejects.toThrow(
      new RegExp(
        `^the GPU acme tiny is too small: its ${limit} is ${has}, but ${least} are needed; use --backend cpu$`,
      ),
    );
  });

  it("is missing", async () => {
    await expect(on({ requestAdapter: async () => null })).rejects.toThrow(/^no GPU was found: .*; use --backend cpu$/);
  });
});

/** The same device with `bytes` of memory. */
function withMemory(device: GpuDevice, bytes: number): GpuDevice {
  let free = bytes;
  let failed = false;
  const scopes: string[] = [];
  const methods: Partial<GpuDevice> = {
    createBuffer(options) {
      if (options.size > free) {
        failed = true;
        return { destroy() {} } as GpuBuffer;
      }
      free -= options.size;
      const buffer = device.createBuffer(options);
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        free += options.size;
        destroy();
      };
      return buffer;
    },
    pushErrorScope(filter) {
      scopes.push(filter);
      device.pushErrorScope(filter);
    },
    async popErrorScope() {
      const isMemory = scopes.pop() === "out-of-memory";
      const error = await device.popErrorScope();
      if (!isMemory || !failed) return error;
      failed = false;
      return { message: "out of memory" };
    },
  };
  return new Proxy(device, {
    get(_, key) {
      const value = methods[key as keyof GpuDevice] ?? device[key as keyof GpuDevice];
      return typeof value === "function" ? value.bind(device) : value;
    },
  });
}

describe.skipIf(problem !== null)(`a GPU that fails${because}`, () => {
  it("has too little memory: the error says how much is needed and free, and all is freed again", async () => {
    let device: GpuDevice | undefined;
    const gpu = await dawn((opened) => {
      device = withMemory(opened, 3 << 20);
      return device;
    });
    const error = await on(gpu).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(OutOfMemoryError);
    const { message, bytes } = error as OutOfMemoryError;
    expect(message).toMatch(
      /^the plan needs 0\.0\d GiB of memory, but the GPU .+ can allocate only 0\.00 GiB; reduce the batch size/,
    );
    expect(bytes.needed).toBeGreaterThanOrEqual(4 << 20);
    expect(bytes.free).toBeLessThanOrEqual(3 << 20);
    expect(bytes.free).toBeGreaterThan(2 << 20);
    // All of its memory can be allocated again.
    device?.pushErrorScope("out-of-memory");
    device?.createBuffer({ size: 3 << 20, usage: 128 });
    expect(await device?.popErrorScope()).toBeNull();
    device?.destroy();
  });

  it("is lost: runs, reads and writes say so", { timeout: 120_000 }, async () => {
    let device: GpuDevice | undefined;
    const gpu = await dawn((opened) => {
      device = opened;
      return opened;
    });
    const program = await on(gpu);
    await program.run("step");
    device?.destroy();
    const lost = /^the GPU .+ was lost \(.+\): continue from the last checkpoint, or use --backend cpu$/;
    await expect(program.run("step")).rejects.toThrow(lost);
    await expect(program.read("w")).rejects.toThrow(lost);
    expect(() => program.write("w", new Float32Array(1 << 20))).toThrow(lost);
    program.dispose();
  });

  it("is lost during a run, and Node exits", { timeout: 120_000 }, async () => {
    const built = (file: string) => new URL(`../../../dist/src/${file}/index.js`, import.meta.url).href;
    const script = `
      import { create } from "webgpu";
      import { compile } from "${built("backends")}";
      import * as q from "${built("tensor")}";
      const [a, b] = [q.variable("a", [768, 768]), q.variable("b", [768, 768])];
      const dawn = create([]);
      let device;
      const requestAdapter = async () => {
        const { info, features, limits, ...rest } = await dawn.requestAdapter().then((adapter) => ({
          info: adapter.info, features: adapter.features, limits: adapter.limits,
          requestDevice: async (of) => (device = await adapter.requestDevice(of)),
        }));
        return { info, features, limits, ...rest };
      };
      const entries = { step: { outputs: {}, assign: [[b, q.matmul(a, b)]] } };
      const program = await compile(entries, { backend: "webgpu", webgpu: { gpu: { requestAdapter } } });
      await program.run("step");
      const running = program.run("step");
      setTimeout(() => device.destroy(), 1);
      await running.then(() => program.run("step")).catch((error) => console.log(error.name, error.message));`;
    const root = fileURLToPath(new URL("../../..", import.meta.url));
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { cwd: root });
    let output = "";
    child.stdout.on("data", (text) => {
      output += text;
    });
    const [code] = await once(child, "close");
    expect(output).toMatch(/^QuernError the GPU .+ was lost /);
    expect(code).toBe(0);
  });
});
