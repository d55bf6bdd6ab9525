/**
 * @file Hardware: peaks, memory, power and rental prices, each with its source and the day on which it was looked up. Peaks are
 * dense, in FLOP/s per device, with fp32 accumulation. Prices are per device and hour on demand, in US dollars: the cheapest and the
 * dearest of large and small clouds. "Not re-checked" marks figures for which no public page was found on that day.
 */
import { QuernError } from "../../errors.js";
import { nearest } from "../../options.js";

export type HardwareDType = "fp32" | "bf16" | "fp16" | "fp8" | "int8";

/** Dollars per device and hour. */
export interface RentalPrice {
  readonly low: number;
  readonly high: number;
  readonly source: string;
  /** When the source was written, where it says so; else when it was looked up. */
  readonly date: string;
}

export interface Hardware {
  readonly name: string;
  readonly title: string;
  /** FLOP/s (operations per second for int8). */
  readonly peak: Readonly<Partial<Record<HardwareDType, number>>>;
  /** Bytes. */
  readonly memory: number;
  /** Bytes per second. */
  readonly bandwidth: number;
  /** Watts at full load. */
  readonly watts: number;
  /** Null where it is bought, not rented. */
  readonly price: RentalPrice | null;
  readonly source: string;
  /** The day on which the source was looked up. */
  readonly date: string;
}

const T = 1e12;
const GB = 1e9;
const DAY = "2026-11-30";

const lockwood = (name: string) => `NVIDIA's tables, quoted at https://glennklockwood.com/garden/processors/${name}`;
const googleDocs = (name: string) => `https://docs.cloud.google.com/tpu/docs/${name}`;
const SCALING_BOOK = "https://jax-ml.github.io/scaling-book";

const CLOUDS_2026 = "https://www.mercatus-ai.com/blog/cloud-gpu-pricing, hyperscalers to small clouds";
const surveyed = (low: number, high: number): RentalPrice => ({ low, high, source: CLOUDS_2026, date: "2026-05" });
/** Prices for which no dated page was found. */
const remembered = (low: number, high: number): RentalPrice => ({
  ...{ low, high, source: "list prices of clouds, not re-checked", date: "2025-11" },
});

export const HARDWARE: readonly Hardware[] = [
  {
    ...{ name: "h100", title: "NVIDIA H100 SXM 80 GB" },
    peak: { fp32: 66.9 * T, bf16: 989.4 * T, fp16: 989.4 * T, fp8: 1978.9 * T, int8: 1978.9 * T },
    ...{ memory: 80 * GB, bandwidth: 3350 * GB, watts: 700, price: surveyed(1.99, 5) },
    ...{ source: lockwood("h100"), date: DAY },
  },
  {
    ...{ name: "h100-pcie", title: "NVIDIA H100 PCIe 80 GB" },
    peak: { fp32: 51.2 * T, bf16: 756 * T, fp16: 756 * T, fp8: 1513 * T, int8: 1513 * T },
    ...{ memory: 80 * GB, bandwidth: 2000 * GB, watts: 350, price: remembered(1.9, 3) },
    ...{
      source: "memory and power: NVIDIA's product brief PB-11133-001; peaks: data sheet, not re-checked",
      date: DAY,
    },
  },
  {
    ...{ name: "h200", title: "NVIDIA H200 SXM 141 GB" },
    peak: { fp32: 66.9 * T, bf16: 989.4 * T, fp16: 989.4 * T, fp8: 1978.9 * T, int8: 1978.9 * T },
    ...{ memory: 141 * GB, bandwidth: 4800 * GB, watts: 700, price: surveyed(2.5, 7) },
    ...{ source: `${SCALING_BOOK}/gpus; power: MLPerf inference v4.1, NVIDIA's system H200-SXM-141GBx8`, date: DAY },
  },
  {
    ...{ name: "b200", title: "NVIDIA B200 180 GB" },
    peak: { fp32: 80 * T, bf16: 2250 * T, fp16: 2250 * T, fp8: 4500 * T, int8: 4500 * T },
    ...{ memory: 180 * GB, bandwidth: 8000 * GB, watts: 1000, price: remembered(3, 7) },
    ...{ source: `${lockwood("B200")} (HGX at 1,000 W); memory: an eighth of DGX B200's 1,440 GB`, date: DAY },
  },
  {
    ...{ name: "a100", title: "NVIDIA A100 SXM 80 GB" },
    peak: { fp32: 19.5 * T, bf16: 312 * T, fp16: 312 * T, int8: 624 * T },
    ...{ memory: 80 * GB, bandwidth: 2039 * GB, watts: 400, price: surveyed(0.8, 3) },
    ...{ source: lockwood("A100"), date: DAY },
  },
  {
    ...{ name: "a100-40", title: "NVIDIA A100 SXM 40 GB" },
    peak: { fp32: 19.5 * T, bf16: 312 * T, fp16: 312 * T, int8: 624 * T },
    ...{ memory: 40 * GB, bandwidth: 1555 * GB, watts: 400, price: remembered(1, 2) },
    ...{ source: lockwood("A100"), date: DAY },
  },
  {
    ...{ name: "mi300x", title: "AMD Instinct MI300X 192 GB" },
    peak: { fp32: 163.4 * T, bf16: 1307.4 * T, fp16: 1307.4 * T, fp8: 2614.9 * T, int8: 2614.9 * T },
    ...{ memory: 192 * GB, bandwidth: 5300 * GB, watts: 750 },
    price: {
      low: 1.71,
      high: 5,
      source: "https://gpu.blog/gpus/instinct-mi300x-mi300x; https://www.codesota.com/hardware/mi300x",
      date: "2026-04",
    },
    ...{ source: "AMD's figures, quoted at https://github.com/alpharomercoma/MI300X-vs-H200; int8: as fp8", date: DAY },
  },
  {
    ...{ name: "v100", title: "NVIDIA V100 SXM2 32 GB" },
    peak: { fp32: 15.7 * T, fp16: 125 * T },
    ...{ memory: 32 * GB, bandwidth: 900 * GB, watts: 300, price: remembered(0.3, 1) },
    ...{ source: `memory: ${SCALING_BOOK}/gpus; the rest: data sheet, not re-checked`, date: DAY },
  },
  {
    ...{ name: "a10", title: "NVIDIA A10 24 GB" },
    peak: { fp32: 31.2 * T, bf16: 125 * T, fp16: 125 * T, int8: 250 * T },
    ...{ memory: 24 * GB, bandwidth: 600 * GB, watts: 150, price: remembered(0.5, 1.3) },
    ...{
      source:
        "peak and power: https://gist.github.com/kimbochen; memory: https://www.baseten.co/blog/nvidia-a10-vs-a10g-for-ml-model-inference; fp32, int8: data sheet, not re-checked",
      date: DAY,
    },
  },
  {
    ...{ name: "l4", title: "NVIDIA L4 24 GB" },
    peak: { fp32: 30.3 * T, bf16: 121 * T, fp16: 121 * T, fp8: 242 * T, int8: 242 * T },
    ...{ memory: 24 * GB, bandwidth: 300 * GB, watts: 72, price: remembered(0.4, 0.9) },
    ...{ source: "half of the sparse figures at https://grokipedia.com/page/NVIDIA_L4_vs_L40S", date: DAY },
  },
  {
    ...{ name: "l40s", title: "NVIDIA L40S 48 GB" },
    peak: { fp32: 91.6 * T, bf16: 362 * T, fp16: 362 * T, fp8: 733 * T, int8: 733 * T },
    ...{ memory: 48 * GB, bandwidth: 864 * GB, watts: 350, price: remembered(0.8, 2) },
    ...{ source: "NVIDIA's table, quoted at https://www.mullet.se/product.html?product_id=355414", date: DAY },
  },
  {
    ...{ name: "4090", title: "NVIDIA GeForce RTX 4090 24 GB" },
    peak: { fp32: 82.6 * T, bf16: 165.2 * T, fp16: 165.2 * T, fp8: 330.3 * T, int8: 660.6 * T },
    ...{ memory: 24 * GB, bandwidth: 1008 * GB, watts: 450, price: remembered(0.35, 0.7) },
    ...{ source: "https://waredb.com/processor/nvidia-geforce-rtx-4090", date: DAY },
  },
  {
    ...{ name: "3090", title: "NVIDIA GeForce RTX 3090 24 GB" },
    peak: { fp32: 35.6 * T, bf16: 71 * T, fp16: 71 * T, int8: 284 * T },
    ...{ memory: 24 * GB, bandwidth: 936 * GB, watts: 350, price: remembered(0.2, 0.4) },
    ...{ source: "NVIDIA Ampere GA102 white paper, appendix A, not re-checked", date: "2025-11" },
  },
  {
    ...{ name: "tpu-v3", title: "Google TPU v3 (chip)" },
    peak: { bf16: 123 * T },
    ...{ memory: 32 * 2 ** 30, bandwidth: 900 * GB, watts: 262, price: remembered(0.9, 2.2) },
    ...{
      source: `memory: ${SCALING_BOOK}/tpus; peak: Cloud TPU documentation, power: arXiv:2304.01433, table 4, not re-checked`,
      date: DAY,
    },
  },
  {
    ...{ name: "tpu-v4", title: "Google TPU v4 (chip)" },
    peak: { bf16: 275 * T, int8: 275 * T },
    ...{ memory: 32 * 2 ** 30, bandwidth: 1200 * GB, watts: 192, price: remembered(1.45, 3.22) },
    ...{ source: `${googleDocs("v4")} (power: the measured maximum)`, date: DAY },
  },
  {
    ...{ name: "tpu-v5e", title: "Google TPU v5e (chip)" },
    peak: { bf16: 197 * T, int8: 393 * T },
    ...{ memory: 16 * 2 ** 30, bandwidth: 819 * GB, watts: 200, price: remembered(0.54, 1.2) },
    ...{ source: `${googleDocs("v5e")}; the power is not published: assumed as TPU v4's`, date: DAY },
  },
  {
    ...{ name: "tpu-v5p", title: "Google TPU v5p (chip)" },
    peak: { bf16: 459 * T, int8: 918 * T },
    ...{ memory: 95 * GB, bandwidth: 2765 * GB, watts: 350, price: remembered(1.89, 4.2) },
    ...{
      source: `https://aiwiki.ai/wiki/google_tpu_v5p; ${SCALING_BOOK}/tpus; the power is not published: assumed`,
      date: DAY,
    },
  },
  {
    ...{ name: "tpu-v6e", title: "Google TPU v6e, Trillium (chip)" },
    peak: { bf16: 918 * T, int8: 1836 * T },
    ...{ memory: 32 * GB, bandwidth: 1638 * GB, watts: 300, price: remembered(1.22, 2.7) },
    ...{ source: `${googleDocs("v6e")}; the power is not published: assumed`, date: DAY },
  },
  {
    ...{ name: "m1", title: "Apple M1 (8-core GPU)" },
    peak: { fp32: 2.6 * T, fp16: 2.6 * T, bf16: 2.6 * T },
    ...{ memory: 16 * GB, bandwidth: 68 * GB, watts: 20, price: null },
    ...{ source: "Apple press release of 2020-11, not re-checked", date: "2025-11" },
  },
  {
    ...{ name: "m2-ultra", title: "Apple M2 Ultra (76-core GPU)" },
    peak: { fp32: 27.2 * T, fp16: 27.2 * T, bf16: 27.2 * T },
    ...{ memory: 192 * GB, bandwidth: 800 * GB, watts: 150, price: null },
    ...{
      source:
        "memory: https://gamebastion.com/n/apple-s-m4-max-is-the-first-non-ultra/474547; peak and power: not re-checked",
      date: DAY,
    },
  },
  {
    ...{ name: "m3-max", title: "Apple M3 Max (40-core GPU)" },
    peak: { fp32: 14.3 * T, fp16: 14.3 * T, bf16: 14.3 * T },
    ...{ memory: 128 * GB, bandwidth: 400 * GB, watts: 78, price: null },
    ...{
      source: "https://hmc-tech.com/gpu/apple-32-core-m4-max-vs-apple-40-core-m3-max; power: not re-checked",
      date: DAY,
    },
  },
  {
    ...{ name: "m4-max", title: "Apple M4 Max (40-core GPU)" },
    peak: { fp32: 17.2 * T, fp16: 17.2 * T, bf16: 17.2 * T },
    ...{ memory: 128 * GB, bandwidth: 546 * GB, watts: 90, price: null },
    ...{
      source:
        "40/32 of https://hmc-tech.com/gpu/apple-32-core-m4-max-vs-apple-40-core-m3-max; memory: https://gamebastion.com/n/apple-s-m4-max-is-the-first-non-ultra/474547; power: not re-checked",
      date: DAY,
    },
  },
  {
    ...{ name: "cpu", title: "two cores of a cloud server with AVX-512 (what Quern is tested on)" },
    peak: { fp32: 0.3 * T, bf16: 0.3 * T },
    ...{ memory: 8 * GB, bandwidth: 25 * GB, watts: 15, price: remembered(0.04, 0.1) },
    ...{ source: "measured by quern doctor on Skylake and Zen 3 servers; the power is assumed", date: "2025-11" },
  },
  {
    ...{ name: "cpu-server", title: "AMD EPYC 9554 (64 cores, AVX-512)" },
    peak: { fp32: 6.3 * T, bf16: 12.7 * T },
    ...{ memory: 384 * GB, bandwidth: 461 * GB, watts: 360, price: remembered(1.5, 3) },
    ...{
      source:
        "computed: 64 cores × 3.1 GHz × 32 FLOPs per cycle, 12 channels of DDR5-4800; AMD data sheet, not re-checked",
      date: "2025-11",
    },
  },
];

const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, "");
const ALIASES: Readonly<Record<string, string>> = {
  ...{
    h100sxm: "h100",
    trillium: "tpu-v6e",
    h10080: "h100",
    a10080: "a100",
    a100sxm: "a100",
    rtx4090: "4090",
    rtx3090: "3090",
  },
  ...{ mseries: "m4-max", m4: "m4-max", m3: "m3-max", m2: "m2-ultra", tpuv5: "tpu-v5p", server: "cpu-server" },
};

/** Finds hardware by name: `h100`, `TPU v4`. @throws QuernError (exit code 2) that lists the known ones */
export function hardwareOf(name: string): Hardware {
  const wanted = ALIASES[plain(name)] ?? name;
  const found = HARDWARE.find((each) => plain(each.name) === plain(wanted));
  if (found !== undefined) return found;
  const names = HARDWARE.map((each) => each.name);
  throw new QuernError(
    `unknown hardware ${JSON.stringify(name.slice(0, 40))}; did you mean ${nearest(name, names)}? Known: ${names.join(", ")}; ` +
      "describe another with --peak TFLOP/s, --memory GB, --bandwidth GB/s, --watts and --price",
    { exitCode: 2 },
  );
}

/** The dtype of training products: bf16 where the hardware has it, else fp16, else fp32. */
export function trainingDType({ peak }: Pick<Hardware, "peak">): HardwareDType {
  return (["bf16", "fp16", "fp32"] as const).find((dtype) => peak[dtype] !== undefined) ?? "fp32";
}
