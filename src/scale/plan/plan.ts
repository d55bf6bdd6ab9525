/** @file `quern scale plan`: what training and serving a model needs on some hardware. */
import { join } from "node:path";
import type { z } from "zod";
import { QuernError } from "../../errors.js";
import { readJsonFile } from "../../json-file.js";
import {
  countParameters,
  defineModel,
  findModel,
  fromHuggingFaceConfig,
  type ModelConfig,
  openModel,
  trainingFlopsPerToken,
} from "../../model/index.js";
import { checkOptions } from "../../options.js";
import { type Hardware, hardwareOf, trainingDType } from "./hardware.js";
import { decodingCost, type InferenceCost, mostSequences, promptCost } from "./inference.js";
import {
  keyValueBytes,
  largestBatch,
  loraParameters,
  type TrainingMemory,
  type TrainingSetup,
  trainingMemory,
} from "./memory.js";
import { type ScalingRow, simulateScaling } from "./network.js";
import { planOptions } from "./plan-options.js";

export type PlanOptions = z.input<typeof planOptions>;

/** A way to train, with its memory per device. */
export interface MemoryRow {
  readonly setup: string;
  readonly bytes: number;
  readonly fits: boolean;
  readonly largest_batch: number;
}

export interface TrainingPlan {
  readonly params: number;
  readonly tokens: number;
  readonly tokens_per_param: number;
  /** 6 · N · D. */
  readonly flops: number;
  /** With attention and without embedding look-ups; null without a config. */
  readonly flops_exact: number | null;
  readonly hardware: Hardware;
  readonly gpus: number;
  /** Share of the peak, and FLOP/s per device that training reaches. */
  readonly mfu: number;
  readonly flops_per_second: number;
  readonly tokens_per_second: number;
  readonly gpu_hours: number;
  readonly days: number;
  readonly price: number | null;
  readonly dollars: number | null;
  readonly dollars_range: readonly [number, number] | null;
  readonly energy_mwh: number;
  readonly co2_tonnes: number;
  /** Per device, for the setup asked for. */
  readonly memory_bytes: number;
  readonly memory: TrainingMemory;
  readonly fits: boolean;
  /** Sequences per device. */
  readonly largest_batch: number;
  readonly memory_options: readonly MemoryRow[];
  /** Data-parallel training across nodes; null without `nodes`. */
  readonly scaling: Scaling | null;
  readonly kv_cache_bytes_per_token: number;
  readonly inference: {
    readonly devices: number;
    readonly context: number;
    readonly weight_bytes: number;
    /** Null without a price. */
    readonly prompt_dollars_per_million_tokens: number | null;
    /** One sequence at a time, and as many as fit. */
    readonly single: InferenceCost;
    readonly largest: InferenceCost;
  };
  /** The shape: the model's, or the one assumed for a number of parameters. */
  readonly shape: Pick<ModelConfig, "layers" | "width" | "heads" | "keyValueHeads" | "hidden" | "vocabSize">;
  readonly shape_assumed: boolean;
  readonly warnings: readonly string[];
}

/** Training on 1, 2, 4 … nodes, by simulation, and what it assumes. */
export interface Scaling {
  readonly rows: readonly ScalingRow[];
  /** Seconds and tokens of a node's step. */
  readonly compute_seconds: number;
  readonly tokens_per_step: number;
  /** Bytes that a node sums with the others, in fp32. */
  readonly gradient_bytes: number;
  /** As sentences, for people. */
  readonly assumptions: readonly string[];
}

/** Reads a model's config, without its weights where there is a config.json. */
async function configOf(name: string): Promise<ModelConfig> {
  const folder = await findModel(name);
  const path = join(folder, "config.json");
  const json = await readJsonFile(path).catch(() => null);
  if (json !== null) return fromHuggingFaceConfig(json, path).config;
  const model = await openModel(name);
  try {
    return model.config;
  } finally {
    await model.close();
  }
}

/**
 * The shape assumed for N parameters: a Llama of width 128 times its depth with heads of 128, as GPT-3 175B, Llama 3 405B and
 * most large models are; 12 · width² weights per layer.
 */
export function assumedShape(params: number, sequence: number): ModelConfig {
  const isLarge = params > 5e9;
  const unit = isLarge ? 128 : 64;
  // Large models share keys and values among heads: a width of whole groups of eight.
  const step = isLarge ? 1024 : 128;
  const width = Math.max(unit, Math.round(((params * unit) / 12) ** (1 / 3) / step) * step || 64);
  const layers = Math.max(1, Math.round(params / (12 * width * width)));
  const heads = Math.max(1, Math.round(width / 128));
  const keyValueHeads = isLarge ? 8 : heads;
  const vocabSize = params > 1e9 ? 128_256 : 32_768;
  return defineModel({
    layers,
    width,
    heads,
    headWidth: width / heads,
    keyValueHeads,
    vocabSize,
    sequence,
    tiedHead: params < 5e9,
  });
}

/** Hardware described by options. @throws QuernError (exit code 2) if its memory is missing */
function givenHardware(o: z.output<typeof planOptions>): Hardware {
  if (o.memory === undefined) throw new QuernError("--peak needs --memory, in GB per device", { exitCode: 2 });
  const peak = (o.peak as number) * 1e12;
  return {
    ...{ name: o.hardware, title: o.hardware, peak: { fp32: peak, bf16: peak }, memory: o.memory * 1e9 },
    ...{ bandwidth: (o.bandwidth ?? 0) * 1e9 || Number.POSITIVE_INFINITY, watts: o.watts ?? 0, price: null },
    ...{ source: "as given", date: new Date().toISOString().slice(0, 7) },
  };
}

/** Plans training and serving. @throws QuernError for unknown hardware, or neither a model nor a number of parameters */
export async function planTraining(given: PlanOptions): Promise<TrainingPlan> {
  const o = checkOptions(planOptions, given);
  if ((o.model === undefined) === (o.params === undefined)) {
    throw new QuernError("give either --model DIR or --params N", { exitCode: 2 });
  }
  if (o.nodes === undefined && o.tokensPerSecond !== undefined) {
    throw new QuernError("--tokens-per-second is of one node and needs --nodes", { exitCode: 2 });
  }
  const gpus = o.gpus === 1 && o.nodes !== undefined ? o.nodes : o.gpus;
  if (o.nodes !== undefined && gpus % o.nodes !== 0) {
    throw new QuernError(`--gpus ${gpus} is not a multiple of --nodes ${o.nodes}`, { exitCode: 2 });
  }
  const hardware = o.peak === undefined ? hardwareOf(o.hardware) : givenHardware(o);
  if (gpus % o.tensorParallel !== 0) {
    throw new QuernError(`--gpus ${gpus} is not a multiple of --tp ${o.tensorParallel}`, { exitCode: 2 });
  }
  const known = o.model === undefined ? null : await configOf(o.model);
  const sequence = known === null ? o.sequence : Math.min(o.sequence, known.sequence);
  const config = known ?? assumedShape(o.params as number, sequence);
  const params = o.params ?? countParameters(config);
  const flops = 6 * params * o.tokens;
  const flopsExact = known === null ? null : trainingFlopsPerToken(known, sequence) * o.tokens;
  const dtype = o.dtype === "fp32" ? "fp32" : trainingDType(hardware);
  const peak = hardware.peak[dtype] ?? hardware.peak.bf16 ?? 0;
  const rate = o.tflops === undefined ? o.mfu * peak : o.tflops * 1e12;
  const warnings: string[] = [];
  if (rate > peak) {
    warnings.push(
      `${(rate / 1e12).toFixed(0)} TFLOP/s exceed the peak of ${hardware.title}, ${(peak / 1e12).toFixed(0)}`,
    );
  }
  const gpuHours = (flopsExact ?? flops) / rate / 3600;
  const price = o.price ?? (hardware.price === null ? null : (hardware.price.low + hardware.price.high) / 2);
  const energy = (gpuHours * hardware.watts * o.pue) / 1e6; // MWh
  const setup: TrainingSetup = {
    ...{ dtype: o.dtype, batch: o.batch, sequence, recompute: o.recompute, zero: o.zero as TrainingSetup["zero"] },
    ...{ dataParallel: gpus / o.tensorParallel, tensorParallel: o.tensorParallel, lora: o.lora ?? null },
  };
  const memory = scaled(trainingMemory(config, setup), params, config);
  const fits = memory.total <= hardware.memory;
  if (!fits) {
    warnings.push(
      `a step needs ${gigabytes(memory.total)} per device, but ${hardware.title} has ${gigabytes(hardware.memory)}; ` +
        "give --recompute, --zero, --tp, --lora or more --gpus",
    );
  }
  if (hardware.bandwidth === Number.POSITIVE_INFINITY) {
    warnings.push("without --bandwidth the cost of inference counts compute alone");
  }
  if (known === null) warnings.push("memory is of an assumed Llama shape; give --model for the exact one");
  return {
    ...{ params, tokens: o.tokens, tokens_per_param: o.tokens / params, flops, flops_exact: flopsExact, hardware },
    ...{ gpus, mfu: rate / peak, flops_per_second: rate },
    tokens_per_second: (rate * gpus * o.tokens) / (flopsExact ?? flops),
    ...{ gpu_hours: gpuHours, days: gpuHours / gpus / 24, price },
    dollars: price === null ? null : gpuHours * price,
    dollars_range: hardware.price === null ? null : [gpuHours * hardware.price.low, gpuHours * hardware.price.high],
    ...{ energy_mwh: energy, co2_tonnes: energy * o.grid },
    ...{ memory_bytes: memory.total, memory, fits, largest_batch: largestBatch(config, setup, hardware.memory) },
    memory_options: memoryRows(config, setup, hardware, gpus),
    scaling: o.nodes === undefined ? null : scalingOf(config, params, flopsExact ?? flops, rate * gpus, sequence, o),
    kv_cache_bytes_per_token: keyValueBytes(config, 2),
    inference: inferenceOf(config, params, hardware, peak, price, o),
    shape: {
      ...{ layers: config.layers, width: config.width, heads: config.heads, keyValueHeads: config.keyValueHeads },
      ...{ hidden: config.hidden, vocabSize: config.vocabSize },
    },
    ...{ shape_assumed: known === null, warnings },
  };
}

/** Simulates training across nodes. `rate` is the FLOP/s of all nodes, `flops` those of the whole training. */
function scalingOf(
  config: ModelConfig,
  params: number,
  flops: number,
  rate: number,
  sequence: number,
  o: z.output<typeof planOptions>,
): Scaling {
  const nodes = o.nodes as number;
  const throughput = o.tokensPerSecond ?? (rate / nodes) * (o.tokens / flops);
  const devices = Math.max(1, o.gpus / nodes / o.tensorParallel);
  const tokens = o.batch * devices * sequence;
  const compute = tokens / throughput;
  // ZeRO 3 gathers the weights once more, for the backward pass (Rajbhandari et al., arXiv:1910.02054, section 7).
  const gradientBytes = 4 * (o.lora === null || o.lora === undefined ? params : loraParameters(config, o.lora));
  const bytes = o.zero === 3 ? 1.5 * gradientBytes : gradientBytes;
  const network = {
    ...{ latency: o.latency / 1e6, bandwidth: (o.network * 1e9) / 8, sumRate: o.sumRate * 1e9 },
  };
  const rows = simulateScaling(nodes, { compute, tokens, gradientBytes: bytes, overlap: o.overlap, network });
  const number = (value: number) => Number(value.toPrecision(3)).toLocaleString("en-US");
  return {
    ...{ rows, compute_seconds: compute, tokens_per_step: tokens, gradient_bytes: gradientBytes },
    assumptions: [
      `a node computes ${number(throughput)} tokens/s (${o.tokensPerSecond === undefined ? "peak × MFU" : "as given"}), ${tokens.toLocaleString("en-US")} tokens and ` +
        `${number(compute)} s per step; two thirds of it is the backward pass`,
      `every node sends and receives at once at ${o.network} Gb/s, α = ${o.latency} µs per message, and adds ${o.sumRate} GB/s; the switch is never the limit`,
      `gradients travel in fp32, ${gigabytes(gradientBytes)} per step${o.zero === 3 ? ", and ZeRO 3 sends half as much again" : ""}, in rounds of 1 MiB`,
      o.overlap === 0
        ? "the exchange starts after the backward pass (--overlap 0)"
        : `the exchange hides under ${number(100 * o.overlap)} % of the backward pass (--overlap)`,
      "all nodes are equally fast; none waits for another, for data or for checkpoints",
    ],
  };
}

/** The memory of an assumed shape, with the parameters that were given. */
function scaled(memory: TrainingMemory, params: number, config: ModelConfig): TrainingMemory {
  const factor = params / countParameters(config);
  const { activations, workspace } = memory;
  const [weights, gradients, optimizer] = [memory.weights, memory.gradients, memory.optimizer].map((b) => b * factor);
  const total = weights + gradients + optimizer + activations + workspace;
  return { weights, gradients, optimizer, activations, workspace, total };
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(bytes < 1e10 ? 2 : 0)} GB`;

function memoryRows(config: ModelConfig, asked: TrainingSetup, hardware: Hardware, gpus: number): MemoryRow[] {
  const base: TrainingSetup = {
    ...asked,
    recompute: false,
    zero: 0,
    tensorParallel: 1,
    dataParallel: gpus,
    lora: null,
  };
  const tensor = Math.min(8, gpus);
  const setups: [name: string, setup: TrainingSetup][] = [
    ["fp32 AdamW", { ...base, dtype: "fp32" }],
    ["bf16 AdamW", { ...base, dtype: "bf16" }],
    ["bf16, recomputation", { ...base, dtype: "bf16", recompute: true }],
    ["bf16, recomputation, LoRA of rank 16", { ...base, dtype: "bf16", recompute: true, lora: 16 }],
    ...(gpus === 1
      ? []
      : ([1, 2, 3] as const).map((zero): [string, TrainingSetup] => [
          `bf16, recomputation, ZeRO ${zero} over ${gpus}`,
          { ...base, dtype: "bf16", recompute: true, zero },
        ])),
    ...(tensor === 1 || gpus % tensor !== 0
      ? []
      : [
          [
            `bf16, recomputation, tensor parallel over ${tensor}, ZeRO 1`,
            { ...base, dtype: "bf16", recompute: true, tensorParallel: tensor, dataParallel: gpus / tensor, zero: 1 },
          ] as [string, TrainingSetup],
        ]),
  ];
  return setups.map(([setup, o]) => {
    const bytes = trainingMemory(config, o).total;
    return { setup, bytes, fits: bytes <= hardware.memory, largest_batch: largestBatch(config, o, hardware.memory) };
  });
}

function inferenceOf(
  config: ModelConfig,
  params: number,
  hardware: Hardware,
  flops: number,
  price: number | null,
  o: Pick<z.output<typeof planOptions>, "weightBits" | "context" | "devices" | "mfu">,
): TrainingPlan["inference"] {
  const weightBytes = o.weightBits / 8;
  const room = params * weightBytes + o.context * keyValueBytes(config, 2);
  const devices = o.devices ?? Math.max(1, Math.ceil(room / (0.95 * hardware.memory)));
  const setup = { params, config, hardware, flops, devices, weightBytes, cacheBytes: 2, context: o.context, price };
  return {
    ...{ devices, context: o.context, weight_bytes: params * weightBytes },
    prompt_dollars_per_million_tokens: promptCost(setup, o.mfu),
    single: decodingCost(setup, 1),
    largest: decodingCost(setup, Math.max(1, mostSequences(setup))),
  };
}
