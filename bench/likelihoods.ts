/**
 * @file 1,000 log-likelihood requests of 20 to 60 tokens, compared with a plain forward pass of the same model. That
 * pass has full batches of 8 rows of 256 tokens and computes every loss. The two alternate; the share is the ratio of
 * their tokens/s.
 *   npm run bench likelihoods [-- --rounds 5 --requests 1000 --layers 4 --width 256 --vocabulary 4096]
 */
import { compile } from "../src/backends/index.js";
import { createScorer, type Window } from "../src/infer/index.js";
import { defineModel, initialValues, modelVariables, parametersOf, tokenLosses } from "../src/model/index.js";
import { input } from "../src/tensor/index.js";
import { flags, machineLine, median, timed } from "./measure.js";

const options = { rounds: 5, requests: 1000, layers: 4, width: 256, vocabulary: 4096 };
const { rounds, requests, layers, width, vocabulary } = flags(options);
const [B, T] = [8, 256];
const config = defineModel({ layers, width, heads: width / 64, vocabSize: vocabulary, sequence: T });
const values = new Map(parametersOf(config).map((each) => [each.name, initialValues(each, 1)]));
const read = (name: string) => values.get(name) as Float32Array;

let state = 7;
const draw = (n: number) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state >>> 16) % n;
};
// The last quarter of a request is its continuation, as in multiple-choice questions.
const windows = Array.from({ length: requests }, (): Window => {
  const ids = Array.from({ length: 20 + draw(41) }, () => draw(vocabulary));
  return { ids, start: 0, length: ids.length - 1, from: Math.ceil(0.75 * ids.length) };
});
const tokens = windows.reduce((sum, { length }) => sum + length, 0);

const weights = modelVariables(config);
const [ids, targets] = ["ids", "targets"].map((name) => input(name, [B, T], "i32"));
const plain = await compile({ forward: { outputs: { losses: tokenLosses(config, weights, ids, targets) } } });
for (const name of weights.keys()) plain.write(name, read(name));
const batch = {
  ids: Int32Array.from({ length: B * T }, () => draw(vocabulary)),
  targets: new Int32Array(B * T).fill(1),
};
const batches = Math.ceil(tokens / (B * T));
const runPlain = async () => {
  for (let i = 0; i < batches; i++) {
    await plain.run("forward", batch);
    await plain.read("losses");
  }
};
const scorer = createScorer(config, read, { greedy: true });
const runRequests = () => scorer.score(windows, { onWindow: () => {} });

const rates: Record<"plain" | "requests", number[]> = { plain: [], requests: [] };
for (let round = 0; round < rounds; round++) {
  const [plainSeconds] = await timed(runPlain, 1, round === 0 ? 1 : 0);
  const [requestSeconds] = await timed(runRequests, 1, round === 0 ? 1 : 0);
  rates.plain.push((batches * B * T) / plainSeconds);
  rates.requests.push(tokens / requestSeconds);
}
const share = median(rates.requests.map((rate, i) => rate / rates.plain[i]));
console.log(
  `plain forward ${median(rates.plain).toFixed(0)} tokens/s, requests ${median(rates.requests).toFixed(0)} tokens/s`,
);
console.log(await machineLine());
console.log(
  JSON.stringify({
    bench: "likelihoods",
    ...{ requests, tokens, layers, width, vocabulary },
    plain_tokens_per_second: median(rates.plain),
    request_tokens_per_second: median(rates.requests),
    share,
  }),
);
