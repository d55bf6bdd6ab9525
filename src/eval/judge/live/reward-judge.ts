/** @file A judge that is a reward model: the answer with the higher reward wins. */
import type { CompileOptions } from "../../../backends/index.js";
import { openTextModel } from "../../../infer/index.js";
import { type ChatMessage, renderChat } from "../../../tokenizer/index.js";
import { dropped, type Judge, type Judgement, type ShownPair } from "./judge.js";
import { modelIdentity } from "./model-identity.js";

/** Pairs of one call. */
const PAIRS = 16;

/**
 * Opens a reward model as a judge. It scores each answer by itself, so the order cannot matter. A prompt with a longer answer than its
 * context drops the pair.
 * @throws QuernError for a language model
 */
export async function openRewardJudge(path: string, { target }: { target?: CompileOptions } = {}): Promise<Judge> {
  // Loaded when needed: post-training is large, and most judges do without.
  const { openRewardModel } = await import("../../../align/index.js");
  const model = await openRewardModel(path, target);
  const { config } = await describe(path);
  const { tokenizer } = model;
  const hasTemplate = tokenizer.parts.config?.chat_template !== undefined;
  const contentOf = (instruction: string, answer: string): readonly ChatMessage[] | string => {
    const messages = [
      { role: "user", content: instruction },
      { role: "assistant", content: answer },
    ];
    // Trained on texts, where the prompt stands before its answer.
    return hasTemplate ? messages : instruction + answer;
  };
  const lengthOf = async (content: readonly ChatMessage[] | string) => {
    const text = typeof content === "string" ? content : await renderChat(tokenizer, content);
    return tokenizer.encode(text, { special: "allow" }).length;
  };
  return {
    ...{ name: path, model: path, seesOrder: false, group: PAIRS, concurrency: 1 },
    identity: ["reward", await modelIdentity(model.path)],
    async judge(pairs: readonly ShownPair[], { signal } = {}): Promise<readonly Judgement[]> {
      const start = performance.now();
      const contents = pairs.flatMap(({ instruction, first, second }) => [
        contentOf(instruction, first),
        contentOf(instruction, second),
      ]);
      const lengths = await Promise.all(contents.map(lengthOf));
      const rewards = await model.score(contents, { signal });
      const seconds = (performance.now() - start) / 1000 / pairs.length;
      return pairs.map((_, i) => {
        const [first, second] = rewards.slice(2 * i, 2 * i + 2);
        const length = Math.max(lengths[2 * i], lengths[2 * i + 1]);
        const cost = { promptTokens: lengths[2 * i] + lengths[2 * i + 1], completionTokens: 0, seconds, cached: false };
        if (length > config.sequence) {
          const detail = `prompt and answer have ${length} tokens, but the judge's context is ${config.sequence}`;
          return dropped("too_long", detail, cost);
        }
        const preference = first > second ? 1 : first < second ? 2 : 1.5;
        return { preference, drop: null, raw: { rewards: [first, second] }, ...cost };
      });
    },
    close: () => model.dispose(),
  };
}

/** Whether a path is a reward model, and its configuration. */
export async function describe(path: string) {
  const { model, close } = await openTextModel(path, { classifier: true });
  await close();
  return { isReward: model.readScore !== undefined, config: model.config };
}
