/** @file The options of `quern scale plan` and `planTraining()`. */
import { z } from "zod";

/** `70B`, `15.6T`, `1e9` or a plain number. */
const quantity = z.union([z.number(), z.string()]).transform((value, context) => {
  const [, digits, suffix = ""] = /^\s*(\d*\.?\d+(?:e[-+]?\d+)?)\s*([KMBGT]?)\s*$/i.exec(String(value)) ?? [];
  const number =
    Number(digits) * ({ "": 1, K: 1e3, M: 1e6, B: 1e9, G: 1e9, T: 1e12 }[suffix.toUpperCase()] ?? Number.NaN);
  if (Number.isFinite(number) && number > 0) return number;
  context.addIssue({ code: "custom", message: `must be a number above 0, such as 70B or 1.4e12, not ${value}` });
  return z.NEVER;
});

export const planOptions = z.object({
  model: z
    .string()
    .optional()
    .describe(
      "model whose config is planned: a run, a Hugging Face folder (config.json is enough); instead of --params",
    )
    .meta({ value: "DIR" }),
  params: quantity.optional().describe("parameters of the model, such as 405B").meta({ value: "N" }),
  tokens: quantity.describe("training tokens, such as 15.6T").meta({ value: "D" }),
  hardware: z
    .string()
    .default("h100")
    .describe("h100, h200, a100, a100-40, v100, l4, 4090, tpu-v4, m4-max, cpu …")
    .meta({ value: "NAME" }),
  peak: z
    .number()
    .positive()
    .optional()
    .describe("peak of hardware that is not listed, in TFLOP/s per device")
    .meta({ value: "X" }),
  memory: z.number().positive().optional().describe("its memory, in GB per device").meta({ value: "X" }),
  bandwidth: z.number().positive().optional().describe("its memory bandwidth, in GB/s").meta({ value: "X" }),
  watts: z.number().min(0).optional().describe("its power, in watts per device").meta({ value: "X" }),
  gpus: z.int().min(1).default(1).describe("number of devices").meta({ value: "G" }),
  mfu: z.number().gt(0).max(1).default(0.4).describe("share of the peak that training reaches").meta({ value: "X" }),
  tflops: z
    .number()
    .positive()
    .optional()
    .describe("TFLOP/s per device that training reaches; instead of --mfu")
    .meta({ value: "X" }),
  price: z
    .number()
    .min(0)
    .optional()
    .describe("dollars per device and hour (default: the middle of the hardware's range)")
    .meta({ value: "X" }),
  pue: z
    .number()
    .min(1)
    .default(1.1)
    .describe("power of the data centre over that of the devices")
    .meta({ value: "X" }),
  grid: z
    .number()
    .min(0)
    .default(0.37)
    .describe("kg of CO2 per kWh of electricity (default 0.37: the mean of the US)")
    .meta({ value: "X" }),
  sequence: z
    .int()
    .min(2)
    .default(4096)
    .describe("tokens per training sequence (--model: at most the model's)")
    .meta({ value: "T" }),
  batch: z.int().min(1).default(1).describe("sequences per device and step").meta({ value: "B" }),
  dtype: z
    .enum(["fp32", "bf16"])
    .default("bf16")
    .describe("training dtype: all fp32, or bf16 with fp32 master weights and moments"),
  recompute: z.boolean().default(false).describe("recompute each layer in the backward pass"),
  zero: z
    .int()
    .min(0)
    .max(3)
    .default(0)
    .describe("ZeRO stage: 1 divides moments, 2 also gradients, 3 also weights")
    .meta({ value: "0-3" }),
  tensorParallel: z.int().min(1).default(1).describe("devices that share each layer").meta({ value: "N", flag: "tp" }),
  nodes: z
    .int()
    .min(2)
    .optional()
    .describe(
      "nodes that divide the batches, one rank each: simulates the efficiency with the time of exchanging gradients " +
        "(--gpus counts the devices of all nodes; default one per node)",
    )
    .meta({ value: "N" }),
  network: z
    .number()
    .positive()
    .default(25)
    .describe("nodes: bandwidth of each node's link in each direction, in Gb/s")
    .meta({ value: "X" }),
  latency: z.number().min(0).default(20).describe("nodes: time of an empty message, in µs").meta({ value: "X" }),
  overlap: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("nodes: share of the backward pass during which gradients already travel")
    .meta({ value: "X" }),
  sumRate: z
    .number()
    .positive()
    .default(1)
    .describe(
      "nodes: gradients that a node adds per second, in GB/s (default 1: Quern's loop on one core of a cloud server)",
    )
    .meta({ value: "X" }),
  tokensPerSecond: z
    .number()
    .positive()
    .optional()
    .describe("nodes: measured throughput of one node (default: from the hardware's peak and --mfu)")
    .meta({ value: "X" }),
  lora: z.int().min(1).optional().describe("train LoRA adapters of this rank").meta({ value: "R" }),
  context: z
    .int()
    .min(1)
    .default(4096)
    .describe("tokens of context per sequence, for the cost of inference")
    .meta({ value: "T" }),
  weightBits: z.number().positive().max(32).default(16).describe("bits per weight for inference").meta({ value: "N" }),
  devices: z
    .int()
    .min(1)
    .optional()
    .describe("devices that serve one copy (default: as many as it needs)")
    .meta({ value: "N" }),
});
export type CheckedPlanOptions = z.output<typeof planOptions>;
