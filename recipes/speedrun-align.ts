/**
 * @file The second half of the speedrun: from a base model to one that answers questions, and answers them better.
 *
 *     SFT     learns to answer, from questions with reference answers
 *     DPO     learns which of the SFT model's own answers is right
 *     PPO     learns to please a reward model, which learned from the same pairs of answers
 *     GRPO    learns from the verifiable reward itself: does WordNet or arithmetic accept the answer
 *
 * All but SFT start from the SFT model, so that they can be compared.
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type AlignCalls, dpo, grpo, ppo, reward, sft } from "../src/align/index.js";
import { writeFileAtomic } from "../src/documents/index.js";
import { openModel } from "../src/infer/index.js";
import { ANSWER_TOKENS, type Candidate, type ModelScore, scoreModels } from "./speedrun-evaluation.js";
import { wordNetTasks } from "./wordnet-reward.js";
import {
  type Exercise,
  lessonOf,
  promptOf,
  type Split,
  TASKS,
  type TaskName,
  type WordNetTasks,
} from "./wordnet-tasks.js";

export interface StoryOptions extends Pick<AlignCalls, "signal" | "onProgress"> {
  /** The base model. */
  readonly base: string;
  /** Folder that the runs and their data go to. */
  readonly out: string;
  /** Time budget of the training. */
  readonly minutes: number;
  readonly seed: number;
  readonly print: (line?: string) => void;
}

/** Shares of the time. */
const SHARES = { sft: 0.37, answers: 0.1, dpo: 0.08, reward: 0.08, ppo: 0.16, grpo: 0.21 };

/** The reward as a file, as `quern grpo --reward` takes it. */
const REWARD_FILE = join(dirname(fileURLToPath(import.meta.url)), "wordnet-reward.js");

/** Trains the four models; returns them with the base model, in the order of the table. */
export async function alignSpeedrun({ base, out, minutes, seed, print, ...calls }: StoryOptions): Promise<Candidate[]> {
  const tasks = await wordNetTasks(calls.signal);
  const at = (name: string) => join(out, name);
  const common = (share: keyof typeof SHARES) => ({ ...calls, seed, minutes: minutes * SHARES[share], force: true });
  await mkdir(out, { recursive: true });

  // 1. Supervised fine-tuning on questions with reference answers, several in a row.
  const lessons = mixed(tasks, "lessons", () => Number.POSITIVE_INFINITY, seed);
  await writeRows(at("lessons.jsonl"), lessons.map(lessonOf));
  const tuned = await sft({
    ...common("sft"),
    ...{ model: base, data: [at("lessons.jsonl")], out: at("sft") },
    ...{ packing: true, maxLength: 128, batch: 16, learningRate: 3e-3 },
  });
  print(`SFT: ${tuned.steps} steps on ${lessons.length} questions with answers, loss ${tuned.loss?.toFixed(2)}`);

  // 2. The model answers questions about other words. WordNet orders its answers: right ones above wrong ones.
  const practice = mixed(tasks, "practice", () => 2000, seed);
  const answers = await ownPreferences(tuned.checkpoint, practice, tasks, {
    ...calls,
    seconds: 60 * minutes * SHARES.answers,
  });
  const baselines: Candidate[] = [
    { name: "base", model: base, shots: TASKS.flatMap((task) => tasks.exercises(task, "lessons", { limit: 3, seed })) },
    { name: "SFT", model: tuned.checkpoint },
  ];
  if (answers.pairs.length === 0) {
    print(
      `DPO, PPO and GRPO are left out: none of ${answers.sampled} answers of the SFT model is right, so that there is nothing ` +
        "to prefer; give it more --minutes",
    );
    return baselines;
  }
  await writeRows(at("preferences.jsonl"), answers.pairs);
  print(
    `preferences: ${answers.pairs.length} pairs among ${answers.sampled} answers, of which ` +
      `${((100 * answers.right) / answers.sampled).toFixed(1)} % are right`,
  );
  // Reinforcement learns only from questions that the model answers now rightly, now wrongly (Yu et al., arXiv:2503.14476). Each
  // task comes up in proportion to their share.
  const most = Math.max(...TASKS.map((task) => answers.learnable[task]));
  const prompts = mixed(tasks, "practice", (task) => Math.round((2000 * answers.learnable[task]) / most), seed);
  await writeRows(at("prompts.jsonl"), prompts.map(promptOf));

  // 3. Direct preference optimisation on these pairs. Alone it makes right answers less likely too, only less so than wrong ones,
  // and spelling suffers; the likelihood of the right answer as a second loss prevents that (Pang et al., arXiv:2404.19733).
  const preferred = await dpo({
    ...common("dpo"),
    ...{ model: tuned.checkpoint, data: [at("preferences.jsonl")], out: at("dpo"), batch: 16, learningRate: 3e-4 },
    ...{ loss: ["sigmoid", "sft"], lossWeights: [1, 1], beta: 0.5 },
  });
  print(`DPO: ${preferred.steps} steps, accuracy on its pairs ${percent(preferred.metrics.accuracy)}`);

  // 4. A reward model on nine tenths of these pairs, then PPO with it.
  const [known, unseen] = splitPairs(answers.pairs, 0.9);
  await writeRows(at("reward-pairs.jsonl"), known);
  await writeRows(at("reward-held-out.jsonl"), unseen);
  const scored = await reward({
    ...common("reward"),
    ...{ model: tuned.checkpoint, data: [at("reward-pairs.jsonl")], out: at("reward"), batch: 16, learningRate: 2e-4 },
    ...(unseen.length > 0 && { evalData: [at("reward-held-out.jsonl")], evalEvery: "end" as const }),
  });
  const accuracy = scored.evaluation?.accuracy;
  print(
    `reward model: ${scored.steps} steps, accuracy on its pairs ${percent(scored.metrics.accuracy)}` +
      (accuracy === undefined ? "" : `, on held-out pairs ${percent(accuracy)}`),
  );
  const rollouts = { prompts: [at("prompts.jsonl")], tokens: ANSWER_TOKENS };
  const pleased = await ppo({
    ...common("ppo"),
    ...rollouts,
    ...{ model: tuned.checkpoint, reward: [scored.checkpoint], out: at("ppo"), batch: 128, updates: 2 },
    ...{ learningRate: 2e-4, klCoef: 0.2 },
  });
  print(`PPO: ${pleased.steps} steps, ${rewarded(pleased.metrics)}`);

  // 5. GRPO with the verifiable reward.
  const verified = await grpo({
    ...common("grpo"),
    ...rollouts,
    ...{ model: tuned.checkpoint, reward: [REWARD_FILE], out: at("grpo"), batch: 32, group: 8 },
    ...{ learningRate: 3e-4, beta: 0.04 },
  });
  print(`GRPO: ${verified.steps} steps, ${rewarded(verified.metrics)}`);

  return [
    ...baselines,
    { name: "DPO", model: preferred.checkpoint },
    { name: "PPO", model: pleased.checkpoint },
    { name: "GRPO", model: verified.checkpoint },
  ];
}

/** Scores the models on held-out questions, the same ones for every seed. */
export async function scoreSpeedrun(
  candidates: readonly Candidate[],
  perTask: number,
  calls: Pick<AlignCalls, "signal" | "onProgress">,
): Promise<ModelScore[]> {
  const tasks = await wordNetTasks(calls.signal);
  const questions = TASKS.flatMap((task) => tasks.exercises(task, "test", { limit: perTask }));
  return scoreModels(candidates, "SFT", questions, tasks, calls);
}

/** Exercises of all tasks in a random order. */
function mixed(tasks: WordNetTasks, split: Split, limitOf: (task: TaskName) => number, seed: number): Exercise[] {
  const lists = TASKS.map((task) => {
    const own = tasks.exercises(task, split, { limit: limitOf(task), seed });
    // Facts of arithmetic are few: each comes up three times as often as a word.
    return task === "arithmetic" && split === "lessons" ? [...own, ...own, ...own] : own;
  });
  // Each list is spread evenly over the whole.
  const placed = lists.flatMap((list) => list.map((exercise, i) => ({ exercise, place: (i + 0.5) / list.length })));
  return placed.sort((a, b) => a.place - b.place).map(({ exercise }) => exercise);
}

/** Answers sampled to each question. */
const ANSWERS = 8;
/** Pairs of answers to one question. */
const MAX_PAIRS = 6;
/** Questions that are answered at once. */
const CHUNK = 64;
/** Minimum number of pairs to learn preferences from, for which sampling may take longer, up to this many times. */
const MIN_PAIRS = 64;
const MAX_OVERTIME = 3;

/** Pairs of a right and a wrong answer of a model to the same question, until the time is over. */
async function ownPreferences(
  checkpoint: string,
  exercises: readonly Exercise[],
  tasks: WordNetTasks,
  { seconds, signal, onProgress }: Pick<AlignCalls, "signal" | "onProgress"> & { readonly seconds: number },
) {
  const started = performance.now();
  const pairs: { prompt: Exercise["messages"]; chosen: object[]; rejected: object[]; task: string; word: string }[] =
    [];
  let [sampled, right] = [0, 0];
  const asked = new Map<TaskName, number>();
  const uncertain = new Map<TaskName, number>();
  const model = await openModel(checkpoint);
  try {
    for (let first = 0; first < exercises.length; first += CHUNK) {
      const spent = (performance.now() - started) / 1000;
      if (spent > seconds && (pairs.length >= MIN_PAIRS || spent > MAX_OVERTIME * seconds)) break;
      onProgress?.({ task: "answer questions", done: first, total: exercises.length, unit: "question" });
      const some = exercises.slice(first, first + CHUNK);
      const settings = { tokens: ANSWER_TOKENS, n: ANSWERS, temperature: 1, topK: 0, seed: first * ANSWERS, signal };
      const answered = await model.generate(
        some.map(({ messages }) => ({ messages })),
        settings,
      );
      for (const [i, { task, word, messages }] of some.entries()) {
        // Answers that the limit cut off are not preferred to anything.
        const texts = answered[i].completions.map(({ text, finishReason }) => ({
          text,
          isRight: finishReason === "stop" && tasks.accepts(task, word, text),
        }));
        sampled += texts.length;
        right += texts.filter(({ isRight }) => isRight).length;
        const chosen = distinct(texts.filter(({ isRight }) => isRight).map(({ text }) => text));
        const rejected = distinct(texts.filter(({ isRight, text }) => !isRight && text !== "").map(({ text }) => text));
        asked.set(task, (asked.get(task) ?? 0) + 1);
        if (chosen.length === 0 || rejected.length === 0) continue;
        uncertain.set(task, (uncertain.get(task) ?? 0) + 1);
        const turn = (content: string) => [{ role: "assistant", content }];
        for (let pair = 0; pair < Math.min(MAX_PAIRS, Math.max(chosen.length, rejected.length)); pair++) {
          const [better, worse] = [chosen[pair % chosen.length], rejected[pair % rejected.length]];
          pairs.push({ prompt: messages, chosen: turn(better), rejected: turn(worse), task, word });
        }
      }
    }
  } finally {
    await model.dispose();
  }
  /** Share of a task's questions with right and wrong answers. */
  const learnable = Object.fromEntries(
    TASKS.map((task) => [task, (uncertain.get(task) ?? 0) / (asked.get(task) ?? 1)]),
  ) as Record<TaskName, number>;
  return { pairs, sampled, right, learnable };
}

/** Splits pairs so that no word is on both sides. */
function splitPairs<P extends { readonly word: string }>(pairs: readonly P[], share: number): readonly [P[], P[]] {
  const words = distinct(pairs.map(({ word }) => word));
  const first = new Set(words.slice(0, Math.max(1, Math.floor(share * words.length))));
  return [pairs.filter(({ word }) => first.has(word)), pairs.filter(({ word }) => !first.has(word))];
}

const distinct = (texts: readonly string[]) => [...new Set(texts)];
const percent = (share: unknown) => `${(100 * Number(share)).toFixed(0)} %`;
const rewarded = ({ reward, kl, completion_length }: Readonly<Record<string, unknown>>) =>
  `reward ${Number(reward).toFixed(2)}, KL ${Number(kl).toFixed(3)}, ${Number(completion_length).toFixed(1)} tokens per answer`;

const writeRows = (path: string, rows: readonly object[]) =>
  writeFileAtomic(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
