/** The GPU of tests: this machine's, or the SwiftShader of Debian's chromium. */
import { existsSync } from "node:fs";
import { examineAdapter } from "../../../src/backends/webgpu/device.js";

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
