/** The GPU of tests: this machine's, or the SwiftShader of Debian's chromium. */
import { existsSync } from "node:fs";
import { examineAdapter } from "../../../src/backends/webgpu/device.js";
import type { Gpu, GpuAdapter, GpuDevice } from "../../../src/backends/webgpu/gpu.js";

const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";

/** `npm run test:webgpu`: all tests, and no excuse. */
export const runsAll = process.env.QUERN_TEST_WEBGPU !== undefined;

async function findProblem(): Promise<string | null> {
  // Where there is no driver, Vulkan's loader takes this one.
  if (existsSync(SWIFTSHADER)) process.env.VK_ICD_FILENAMES ??= SWIFTSHADER;
  try {
    await examineAdapter();
    return null;
  } catch (error) {
    if (runsAll) throw error;
    return (error as Error).message;
  }
}

/** Why tests are skipped; null if there is an adapter. */
export const problem = await findProblem();
/** For the names of suites: a skipped one says why. */
export const because = problem === null ? "" : ` (skipped: ${problem})`;
if (problem !== null) console.log(`tests of the backend webgpu are skipped: ${problem}`);

/** Dawn without some features of its adapter, and with another device in place of the one that it opens. */
export async function dawn(
  replace: (device: GpuDevice) => GpuDevice = (device) => device,
  without: readonly string[] = [],
): Promise<Gpu> {
  const name = "webgpu";
  const { create } = (await import(name)) as { create(flags: readonly string[]): Gpu };
  const gpu = create(["enable-dawn-features=disable_workgroup_init,disable_robustness"]);
  return {
    async requestAdapter(options) {
      const adapter = (await gpu.requestAdapter(options)) as GpuAdapter;
      const { info, limits } = adapter;
      const features = new Set([...adapter.features].filter((feature) => !without.includes(feature)));
      return { info, features, limits, requestDevice: async (of) => replace(await adapter.requestDevice(of)) };
    },
  };
}
