/**
 * @file The check that scripts/gpu-check.sh runs on a machine with an NVIDIA GPU: operations against `reference`, fixtures against
 * PyTorch, a training curve of GPT-2 124M against the CPU's, and speed. Prints one JSON line. `--small` shortens it for the emulator.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type CompileOptions, compile, examineMachine, explain } from "../../../src/backends/index.js";
import {
  defineModel,
  initialise,
  type ModelConfig,
  parametersOf,
  trainingFlopsPerToken,
} from "../../../src/model/index.js";
import * as q from "../../../src/tensor/index.js";
import { ADAMW_DEFAULTS } from "../../../src/train/optimizer/adamw.js";
import { languageModelTrainer } from "../../../src/train/pretrain/language-model.js";
import { step } from "../../../src/train/step.js";
import { compileTrainer, traceTrainer } from "../../../src/train/trainer.js";
import { batchOf, loadFixture, startFactor } from "../../model/model-fixtures.js";
import { random } from "../operations.cases.js";
import { compareOperations, operationEntries } from "./compare.js";

const isSmall = process.argv.includes("--small");
/** Seconds after which no further part begins: the script ends before eight minutes. */
const BUDGET = 400;
const started = performance.now();
const seconds = () => (performance.now() - started) / 1000;

const gpt2 = (): ModelConfig =>
  isSmall
    ? defineModel({ family: "gpt2", layers: 1, width: 32, heads: 2, vocabSize: 128, sequence: 32 })
    : defineModel({ family: "gpt2", layers: 12, width: 768, heads: 12, vocabSize: 50257, sequence: 1024 });

/** Largest difference of the losses of a fixture's twenty AdamW steps from PyTorch's. */
async function fixtureDifference(name: "gpt2-tied" | "llama-full-free"): Promise<number> {
  const fixture = await loadFixture(name);
  const { batch, sequence } = batchOf(fixture, 0);
  const trainer = languageModelTrainer(fixture.config, { batch, sequence });
  const training = await compileTrainer(trainer, { optimizer: fixture.optimizer, accumulate: 1, backend: "cuda" });
  for (const { name: key } of parametersOf(fixture.config)) {
    training.program.write(
      key,
      fixture.floats(`parameter.${key}`).map((value) => value * startFactor(key)),
    );
  }
  let most = 0;
  for (let index = 0; index < 20; index++) {
    const { ids, targets } = batchOf(fixture, index);
    const learningRate = fixture.floats("learning_rates")[index];
    const schedule = { kind: "constant", learningRate, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
    const { loss } = await step(training, [{ ids, targets }], { step: index, steps: 20, schedule });
    most = Math.max(most, Math.abs((loss as number) - fixture.floats("losses")[index]));
  }
  training.program.dispose();
  return most;
}

interface Shape {
  readonly batch: number;
  readonly sequence: number;
  readonly steps: number;
}

/** Losses of the first steps on made-up text, in which every token follows from the one before, and the time of a step. */
async function train(options: CompileOptions, { batch, sequence, steps }: Shape) {
  const config = gpt2();
  const trainer = languageModelTrainer(config, { batch, sequence });
  const training = await compileTrainer(trainer, { optimizer: ADAMW_DEFAULTS, accumulate: 1, ...options });
  for (const parameter of parametersOf(config)) {
    training.program.write(parameter.name, (values) => initialise(parameter, 0, values));
  }
  const next = random(11);
  const schedule = { kind: "constant", learningRate: 3e-4, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
  const losses: number[] = [];
  const times: number[] = [];
  for (let index = 0; index < steps; index++) {
    const text = Int32Array.from({ length: batch * (sequence + 1) }, () => Math.floor(next() * next() * 100));
    const ids = text.filter((_, i) => i % (sequence + 1) < sequence);
    const targets = text.filter((_, i) => i % (sequence + 1) > 0);
    const start = performance.now();
    const { loss } = await step(training, [{ ids, targets }], { step: index, steps, schedule });
    losses.push(loss as number);
    times.push((performance.now() - start) / 1000);
  }
  const { launches, buildSeconds } = training.program.plan;
  training.program.dispose();
  const sorted = times.slice(2).sort((a, b) => a - b);
  return { losses, stepSeconds: sorted[Math.floor(sorted.length / 2)], launches, buildSeconds };
}

/** TFLOP/s of a square matrix product in bf16. */
async function productSpeed(side: number): Promise<number> {
  const [a, b] = [q.variable("a", [side, side]), q.variable("b", [side, side])];
  const c = q.variable("c", [side, side]);
  const program = await compile(
    { main: { outputs: {}, assign: [[c, q.linear(a, b)]] } },
    { backend: "cuda", dtype: "bf16" },
  );
  await program.run("main");
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    await program.run("main");
    times.push((performance.now() - start) / 1000);
  }
  program.dispose();
  return (2 * side ** 3) / Math.min(...times) / 1e12;
}

/** The same figures of PyTorch; null where there is none. */
function peer(shape: Shape): unknown {
  const script = fileURLToPath(new URL("gpu_peer.py", import.meta.url));
  const { status, stdout } = spawnSync("python3", [script, String(shape.batch), String(shape.sequence)], {
    timeout: 150_000,
  });
  const line = String(stdout ?? "")
    .trim()
    .split("\n")
    .pop();
  return status === 0 && line ? JSON.parse(line) : null;
}

const report: Record<string, unknown> = {};
const problems: string[] = [];
async function part(name: string, work: () => Promise<unknown>): Promise<void> {
  if (seconds() > BUDGET) {
    problems.push(`${name}: no time left`);
    return;
  }
  const before = seconds();
  try {
    report[name] = await work();
  } catch (error) {
    problems.push(`${name}: ${(error as Error).message}`);
  }
  console.error(`${name}: ${(seconds() - before).toFixed(1)} s`);
}

const CURVE: Shape = isSmall ? { batch: 2, sequence: 16, steps: 20 } : { batch: 4, sequence: 256, steps: 20 };
const FAST: Shape = isSmall ? { batch: 2, sequence: 16, steps: 4 } : { batch: 64, sequence: 1024, steps: 8 };

const machine = await examineMachine({ measure: false });
report.machine = machine.line;
report.gpu = machine.gpus.find(({ backend }) => backend === "cuda");
await part("plan", async () => {
  const trainer = languageModelTrainer(gpt2(), FAST);
  const { entries } = explain(traceTrainer(trainer, { optimizer: ADAMW_DEFAULTS, accumulate: 1 }).entries, "bf16");
  return Object.fromEntries(entries.map(({ name, fused }) => [name, fused]));
});
await part("curve", async () => {
  const gpu = await train({ backend: "cuda", dtype: "bf16" }, CURVE);
  const cpu = await train({ backend: "cpu" }, CURVE);
  const difference = Math.max(...gpu.losses.map((loss, i) => Math.abs(loss - cpu.losses[i])));
  if (!(difference < 1e-2)) problems.push(`curve: a loss differs by ${difference} from the CPU's`);
  return { difference, gpu: gpu.losses, cpu: cpu.losses };
});
await part("fixtures", async () => {
  const found = { gpt2: await fixtureDifference("gpt2-tied"), llama: await fixtureDifference("llama-full-free") };
  if (!(Math.max(...Object.values(found)) < 1e-3)) problems.push("fixtures: a loss differs from PyTorch's");
  return found;
});
await part("speed", async () => {
  const { stepSeconds, launches, buildSeconds } = await train({ backend: "cuda", dtype: "bf16" }, FAST);
  const tokensPerSecond = (FAST.batch * FAST.sequence) / stepSeconds;
  const teraflops = (trainingFlopsPerToken(gpt2(), FAST.sequence) * tokensPerSecond) / 1e12;
  return { ...FAST, tokensPerSecond, teraflops, launches, buildSeconds };
});
await part("product", async () => ({
  side: isSmall ? 256 : 8192,
  teraflops: await productSpeed(isSmall ? 256 : 8192),
}));
if (!isSmall) await part("pytorch", async () => peer(FAST));
if (!isSmall) {
  await part("operations", async () => {
    const program = await compile(operationEntries(), { backend: "cuda" });
    const wrong = await compareOperations(program);
    program.dispose();
    problems.push(...wrong.map((text) => `operations: ${text}`));
    return { wrong: wrong.length };
  });
}
console.log(JSON.stringify({ ok: problems.length === 0, problems, seconds: Math.round(seconds()), ...report }));
process.exit(problems.length === 0 ? 0 : 1);
