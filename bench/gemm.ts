/**
 * @file Matrix products through the engine, including packing, as a share of the measured peak.
 *   npm run bench gemm [-- --rounds 15]
 */
import { type ComputeDType, compile, examineMachine, measurePeak } from "../src/backends/index.js";
import { matmul, variable } from "../src/tensor/index.js";
import { flags, machineLine, median, randomNumbers, timed } from "./measure.js";

const { rounds } = flags({ rounds: 15 });

/** M, N, K, transposed A, transposed B; the first shape has a promised minimum. */
const shapes: readonly (readonly [number, number, number, boolean, boolean, string])[] = [
  [1024, 3072, 768, false, true, "x·wᵀ of GPT-2's MLP"],
  [4096, 192, 192, false, true, "x·wᵀ, width 192"],
  [4096, 512, 192, false, true, "x·wᵀ, 192 → 512"],
  [4096, 192, 512, false, false, "dy·w, 512 → 192"],
  [512, 192, 4096, true, false, "dyᵀ·x, 512 × 192"],
];

// bf16 only if the machine has bf16 products; otherwise they run as fp32 products, which the fp32 rows already measure.
const hasBf16 = (await measurePeak({ threads: 1 })).bf16 > 0;
const dtypes: readonly ComputeDType[] = hasBf16 ? ["fp32", "bf16"] : ["fp32"];
const results = [];
for (const threads of [...new Set([1, (await examineMachine({ measure: false })).threads])]) {
  for (const dtype of dtypes) {
    for (const [M, N, K, transposeA, transposeB, what] of shapes) {
      const a = variable("a", transposeA ? [K, M] : [M, K]);
      const b = variable("b", transposeB ? [N, K] : [K, N]);
      const c = variable("c", [M, N]);
      const program = await compile(
        { product: { outputs: {}, assign: [[c, matmul(a, b, { transposeA, transposeB })]] } },
        { dtype, cpu: { threads } },
      );
      program.write("a", randomNumbers(M * K));
      program.write("b", randomNumbers(K * N));
      // Measure the peak before and after: on a shared machine it changes meanwhile.
      const before = await measurePeak({ threads });
      const seconds = await timed(() => program.run("product"), rounds, 3);
      const after = await measurePeak({ threads });
      program.dispose();
      const of = (peak: typeof before) =>
        dtype === "bf16"
          ? threads === 1
            ? peak.bf16OneThread
            : peak.bf16
          : threads === 1
            ? peak.gflopsOneThread
            : peak.gflops;
      const peak = Math.max(of(before), of(after));
      const gflops = (2 * M * N * K) / median(seconds) / 1e9;
      const shape = { M, N, K, threads, precision: dtype };
      results.push({ ...shape, gflops: Math.round(gflops), peak: Math.round(peak), share: gflops / peak });
      const share = `${((100 * gflops) / peak).toFixed(1)} %`;
      const rate = `${gflops.toFixed(0)} GFLOP/s  ${share}`;
      console.log(`${String(threads).padStart(2)} threads  ${dtype}  ${M} × ${N} × ${K}  ${rate}  ${what}`);
    }
  }
}
console.log(await machineLine());
console.log(JSON.stringify({ bench: "gemm", results }));
