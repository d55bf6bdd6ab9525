/**
 * @file Training throughput against PyTorch on the same two cores: Llama 3.3M, B 16 × T 256, fp32, random tokens for both.
 *   QUERN_TORCH_PYTHON=/path/to/python npm run bench train [-- --rounds 3 --steps 10]
 * The rounds alternate: Quern, eager, compile, Quern, … so that a change of the machine's speed meets all of them.
 */
import { compile, measurePeak } from "../src/backends/index.js";
import {
  countParameters,
  defineModel,
  initialValues,
  parametersOf,
  trainingFlopsPerToken,
} from "../src/model/index.js";
import { ADAMW_DEFAULTS, adamwScalars, trainingEntries } from "../src/train/index.js";
import { flags, machineLine, median, runPeer, timed, torchPython } from "./measure.js";

const o = flags({
  layers: 4,
  width: 192,
  heads: 6,
  vocab: 8192,
  batch: 16,
  sequence: 256,
  threads: 2,
  steps: 10,
  rounds: 3,
});
const config = defineModel({
  layers: o.layers,
  width: o.width,
  heads: o.heads,
  vocabSize: o.vocab,
  sequence: o.sequence,
});
const tokens = o.batch * o.sequence;

const { evaluate: _, ...entries } = trainingEntries(
  config,
  { batch: o.batch, sequence: o.sequence, accumulate: 1 },
  ADAMW_DEFAULTS,
);
const program = await compile(entries, { threads: o.threads });
for (const parameter of parametersOf(config)) program.write(parameter.name, initialValues(parameter, 1));

let step = 0;
let state = 1;
const nextToken = () => {
  state = (state * 48271) % 2147483647;
  return state % o.vocab;
};
async function trainStep(): Promise<void> {
  const text = Int32Array.from({ length: tokens + 1 }, nextToken);
  await program.run("firstGradient", { ids: text.subarray(0, tokens), targets: text.subarray(1) });
  await program.run("update", adamwScalars(++step, 3e-4, ADAMW_DEFAULTS));
}

interface PeerResult {
  readonly peer: string;
  readonly tokens_per_second: number;
  readonly parameters: number;
}
const python = torchPython();
const peer = (extra: readonly string[]) =>
  runPeer<PeerResult>(python as string, "bench/peers/torch_train.py", [
    ...["--family", "llama", "--layers", `${o.layers}`, "--heads", `${o.heads}`, "--width", `${o.width}`],
    ...["--vocab", `${o.vocab}`, "--batch", `${o.batch}`, "--sequence", `${o.sequence}`, "--dtype", "fp32"],
    ...["--threads", `${o.threads}`, "--steps", `${o.steps}`, ...extra],
  ]);

const ours: number[] = [];
const eager: number[] = [];
const compiled: number[] = [];
for (let round = 0; round < o.rounds; round++) {
  ours.push(tokens / median(await timed(trainStep, o.steps, 2)));
  if (python) {
    eager.push(peer([]).tokens_per_second);
    compiled.push(peer(["--compile"]).tokens_per_second);
  }
  const line = [ours, eager, compiled].map((rates) => rates.at(-1)?.toFixed(0) ?? "not run");
  console.log(`round ${round + 1}: Quern ${line[0]} tokens/s, PyTorch eager ${line[1]}, compile ${line[2]}`);
}
const loss = program.read("loss")[0];
if (!Number.isFinite(loss)) throw new Error(`the loss is ${loss}`);
const peak = await measurePeak({ threads: o.threads });
const rate = median(ours);
const share = (rate * trainingFlopsPerToken(config, o.sequence)) / 1e9 / peak.gflops;
const { plan } = program;
program.dispose();
const ratio = (other: readonly number[]) => (other.length > 0 ? rate / median(other) : null);
console.log(
  `median: ${rate.toFixed(0)} tokens/s, ${(100 * share).toFixed(1)} % of the fp32 peak (${peak.gflops} GFLOP/s), ` +
    `${ratio(eager)?.toFixed(2) ?? "?"} × eager, ${ratio(compiled)?.toFixed(2) ?? "?"} × compile`,
);
console.log(await machineLine());
console.log(
  JSON.stringify({
    bench: "train",
    parameters: countParameters(config),
    target: plan.target,
    threads: plan.threads,
    tokens_per_second: rate,
    peak_share: share,
    torch_eager: eager.length > 0 ? median(eager) : null,
    torch_compile: compiled.length > 0 ? median(compiled) : null,
    ratio_eager: ratio(eager),
    ratio_compile: ratio(compiled),
    loss,
  }),
);
