import { expect, it } from "vitest";
import { createDecoder } from "../../src/infer/index.js";
import { countParameters, defineModel, initialValues, parametersOf } from "../../src/model/index.js";
import { ADAMW_DEFAULTS, compileTrainer, languageModelTrainer, resetOptimizer, step } from "../../src/train/index.js";
import { SLOW_BUILD } from "../model/targets.js";

it("a decoder shares the weights of a training program and sees every update", {
  timeout: SLOW_BUILD,
}, async () => {
  const model = defineModel({ layers: 1, width: 32, heads: 1, vocabSize: 40, sequence: 16 });
  const trainer = languageModelTrainer(model, { batch: 2, sequence: 16 });
  const training = await compileTrainer(trainer, { optimizer: ADAMW_DEFAULTS, accumulate: 1 });
  const { program } = training;
  for (const parameter of parametersOf(model)) program.write(parameter.name, initialValues(parameter, 1));
  resetOptimizer(training);
  const [sharing, copying] = [program, (name: string) => program.read(name)].map((source) =>
    createDecoder(model, source),
  );
  const request = { prompt: [1, 2, 3], tokens: 8, temperature: 0, topK: 0, seed: 0, endOfText: [] };
  const idsOf = async (decoder: typeof sharing) => (await decoder.generate(request))[0].tokens;
  expect(await idsOf(sharing)).toEqual(await idsOf(copying));
  expect(sharing.plan?.sharedBytes).toBe(4 * countParameters(model));
  expect(copying.plan?.sharedBytes).toBe(0);

  // Trains the model to always predict 7; the copy does not change.
  const batch = { ids: new Int32Array(32).fill(7), targets: new Int32Array(32).fill(7) };
  const schedule = { kind: "constant", learningRate: 0.1, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
  const before = await idsOf(copying);
  for (let index = 0; index < 10; index++) await step(training, [batch], { step: index, steps: 10, schedule });
  expect((await idsOf(sharing)).map(({ id }) => id)).toEqual(new Array(8).fill(7));
  expect(await idsOf(copying)).toEqual(before);
  for (const each of [sharing, copying, program]) each.dispose();
});
