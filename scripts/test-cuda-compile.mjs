/**
 * @file `npm run test:cuda-compile`: compiles every template and a training step for sm_80, sm_90 and sm_90a by NVRTC, without a GPU,
 * and prints registers, shared memory and spills. QUERN_NVRTC names the library.
 */
import { build, install, requireNode, runTool } from "./steps.mjs";

requireNode();
install();
let code = build();
if (code === 0) {
  const { openNvrtc } = await import("../dist/src/backends/cuda/nvrtc.js");
  try {
    openNvrtc();
  } catch (error) {
    console.log(`quern: skipped: ${error.message}; for example:`);
    console.log("  python3 -m venv nvrtc && nvrtc/bin/pip install nvidia-cuda-nvrtc");
    console.log(
      "  QUERN_NVRTC=$(echo nvrtc/lib/python3*/site-packages/nvidia/cu13/lib/libnvrtc.so.13) npm run test:cuda-compile",
    );
    process.exit(0);
  }
  code = runTool("vitest", ["run", "test/backends/cuda/compile"], { QUERN_TEST_NVRTC: "1" });
}
process.exit(code);
