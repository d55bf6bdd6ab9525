/** @file Published training runs beside the planner's figures, with the reason for each difference: the table of docs/scaling.md. */
import { type PlanOptions, planTraining, type TrainingPlan } from "./plan.js";

export interface PublishedRun {
  readonly name: string;
  readonly options: PlanOptions;
  readonly published: Readonly<Partial<Record<"flops" | "gpu_hours" | "days" | "dollars" | "co2_tonnes", number>>>;
  readonly source: string;
  /** The day on which the source was looked up; null if no public page of it was found. */
  readonly checked: string | null;
  readonly difference: string;
}

const DAY = "2026-11-30";

export const PUBLISHED: readonly PublishedRun[] = [
  {
    name: "Llama 3 405B, the lecture's estimate",
    options: {
      params: "405B",
      tokens: "15.6T",
      hardware: "h100",
      gpus: 16000,
      tflops: 400,
      price: 2,
      pue: 1,
      grid: 0.24,
    },
    published: { flops: 3.8e25, gpu_hours: 26e6, days: 70, dollars: 52e6, co2_tonnes: 4400 },
    source: "CS229 guest lecture on building LLMs (2024)",
    checked: null,
    difference: "the same arithmetic: 6ND, 400 TFLOP/s, $2, 700 W, .24 kg per kWh, no PUE",
  },
  {
    name: "Llama 3.1 405B",
    options: { params: "405B", tokens: "15.6T", hardware: "h100", gpus: 16384, tflops: 400, pue: 1.1, grid: 0.37 },
    published: { flops: 3.8e25, gpu_hours: 30.84e6, co2_tonnes: 8930 },
    source: "arXiv:2407.21783; https://github.com/meta-llama/llama-models/blob/main/models/llama3_1/MODEL_CARD.md",
    checked: DAY,
    difference:
      "their hours hold restarts (about 90 % effective time) and all stages; 8,930 t are .41 kg per kWh of 700 W, ours .37 with a PUE of 1.1",
  },
  {
    name: "GPT-3 175B",
    options: { params: "174.6B", tokens: "300B", hardware: "v100", gpus: 10000, tflops: 24.6, pue: 1.1, grid: 0.429 },
    published: { flops: 3.14e23, gpu_hours: 3.55e6, days: 14.8, co2_tonnes: 552 },
    source: "arXiv:2005.14165, table D.1; Patterson et al., arXiv:2104.10350, table 4",
    checked: null,
    difference: "they measured 330 W per V100; the data sheet says 300 W",
  },
  {
    name: "Chinchilla 70B",
    options: { params: "70B", tokens: "1.4T", hardware: "tpu-v4", gpus: 4096, mfu: 0.5 },
    published: { flops: 5.76e23 },
    source: "arXiv:2203.15556, section 4",
    checked: null,
    difference: "they name Gopher's budget; 6ND of the rounded sizes is 2 % more",
  },
  {
    name: "Llama 2 70B",
    options: { params: "70B", tokens: "2T", hardware: "a100", gpus: 2048, mfu: 0.43, pue: 1, grid: 0.423 },
    published: { gpu_hours: 1_720_320, co2_tonnes: 291.42 },
    source: "arXiv:2307.09288, table 2; https://github.com/meta-llama/llama/blob/main/MODEL_CARD.md",
    checked: DAY,
    difference: "the MFU is chosen to give their hours; they count 400 W without PUE",
  },
  {
    name: "Llama 3 8B",
    options: { params: "8.03B", tokens: "15T", hardware: "h100", gpus: 1024, mfu: 0.16, pue: 1, grid: 0.43 },
    published: { gpu_hours: 1.3e6, co2_tonnes: 390 },
    source: "https://github.com/meta-llama/llama3/blob/main/MODEL_CARD.md",
    checked: DAY,
    difference: "the MFU is chosen to give their hours, which are far more than one run at 40 % needs",
  },
  {
    name: "nanochat d20",
    options: { params: "561M", tokens: "11.2B", hardware: "h100", gpus: 8, mfu: 0.45, price: 3 },
    published: { flops: 3.92e19, days: 3 / 24, dollars: 72 },
    source: "karpathy/nanochat, discussion 1",
    checked: null,
    difference: "they leave out the 84M weights of the embedding table, and count attention over 2,048 tokens",
  },
  {
    name: "SmolLM2-1.7B",
    options: { params: "1.71B", tokens: "11T", hardware: "h100", gpus: 256, mfu: 0.4, price: 3 },
    published: { flops: 1e23, dollars: 250_000 },
    source: "arXiv:2502.02737, section 1, quoted at https://www.emergentmind.com/papers/2502.02737",
    checked: DAY,
    difference: "they round: about 1e23 FLOPs and 250,000 dollars",
  },
];

export interface PublishedRow extends PublishedRun {
  readonly plan: TrainingPlan;
}

/** Plans each published run. */
export async function publishedRows(): Promise<PublishedRow[]> {
  return Promise.all(PUBLISHED.map(async (run) => ({ ...run, plan: await planTraining(run.options) })));
}

const shown = (value: number) =>
  value >= 1e15 ? value.toExponential(2).replace("e+", "e") : Number(value.toPrecision(3)).toLocaleString("en-US");

/** Returns the Markdown table of docs/scaling.md: ours, and the published figure behind a slash. */
export async function publishedTable(): Promise<string> {
  const keys = ["flops", "gpu_hours", "days", "dollars", "co2_tonnes"] as const;
  const rows = (await publishedRows()).map(({ name, plan, published, source, checked, difference }) => {
    const cells = keys.map((key) => {
      const [ours, theirs] = [plan[key], published[key]];
      return `${ours === null ? "" : shown(ours)}${theirs === undefined ? "" : ` / ${shown(theirs)}`}`;
    });
    return `| ${[name, ...cells, difference, `${source} (${checked ?? "not re-checked"})`].join(" | ")} |`;
  });
  return [
    "| run | FLOPs | device hours | days | dollars | t CO₂ | why they differ | source (looked up) |",
    "|---|---|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}
