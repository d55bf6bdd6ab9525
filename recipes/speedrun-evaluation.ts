/**
 * @file The evaluation of the speedrun's models on held-out questions: how many answers are right, how often each model's answer is
 * better than the fine-tuned model's, how far its answers are from that model's, and how long they are.
 */
import { wilsonInterval } from "../src/align/index.js";
import type { OnProgress } from "../src/documents/index.js";
import { CheckpointModel, createScorer, openTextModel, type TextModel } from "../src/infer/index.js";

import { renderChat } from "../src/tokenizer/index.js";
import { judge } from "./wordnet-judge.js";
import { type Exercise, TASKS, type WordNetTasks } from "./wordnet-tasks.js";

/** A mean with the ends of its 95 % interval. */
export interface Estimate {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export interface Candidate {
  readonly name: string;
  /** A run or checkpoint. */
  readonly model: string;
  /** Given for a model without a chat template: solved questions that come before each of a task's questions. */
  readonly shots?: readonly Exercise[];
}

export interface ModelScore {
  readonly name: string;
  /** Share of right answers, sampled at temperature 1: what reinforcement learning maximises. */
  readonly accuracy: Estimate;
  /** The same, decoded greedily. */
  readonly greedy_accuracy: Estimate;
  readonly accuracy_by_task: Readonly<Record<string, number>>;
  /** Accuracy less that of the fine-tuned model, question by question; null for that model itself. */
  readonly difference: Estimate | null;
  readonly greedy_difference: Estimate | null;
  /** Share of questions on which the judge prefers this model's answer to the fine-tuned model's; ties count half. */
  readonly win_rate: Estimate | null;
  /** KL divergence from the fine-tuned model, in nats per answer; null without a common prompt. */
  readonly kl: Estimate | null;
  /** Tokens of an answer. */
  readonly length: Estimate;
  readonly examples: readonly { readonly question: string; readonly answer: string; readonly right: boolean }[];
}

interface Calls {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Longest answer, in tokens. */
export const ANSWER_TOKENS = 24;

/**
 * Scores models on the same questions.
 * @param fineTuned name of the model that the others are compared with
 */
export async function scoreModels(
  candidates: readonly Candidate[],
  fineTuned: string,
  questions: readonly Exercise[],
  tasks: WordNetTasks,
  calls: Calls,
): Promise<ModelScore[]> {
  const start = candidates.find(({ name }) => name === fineTuned) as Candidate;
  const reference = await openTextModel(start.model);
  try {
    const answered = new Map<string, Answers>();
    for (const candidate of candidates)
      answered.set(candidate.name, await answer(candidate, questions, reference, calls));
    const words = questions.map(({ word }) => word);
    const own = answered.get(fineTuned) as Answers;
    const isRight = (texts: readonly string[]) =>
      texts.map((text, i) => tasks.accepts(questions[i].task, questions[i].word, text));
    const lead = (right: readonly boolean[], other: readonly boolean[]) =>
      estimate(
        right.map((each, i) => Number(each) - Number(other[i])),
        words,
      );
    const first = { right: isRight(own.texts), greedy: isRight(own.greedy) };
    return candidates.map(({ name }) => {
      const { texts, greedy, lengths, kl } = answered.get(name) as Answers;
      const right = isRight(texts);
      const rightGreedy = isRight(greedy);
      const isStart = name === fineTuned;
      const wins = questions.map(({ task, word }, i) => judge(texts[i], own.texts[i], tasks.references(task, word)));
      return {
        name,
        accuracy: shareOf(right),
        greedy_accuracy: shareOf(rightGreedy),
        accuracy_by_task: Object.fromEntries(
          TASKS.map((task) => [task, shareOf(right.filter((_, i) => questions[i].task === task)).mean]),
        ),
        difference: isStart ? null : lead(right, first.right),
        greedy_difference: isStart ? null : lead(rightGreedy, first.greedy),
        win_rate: isStart ? null : estimate(wins, words),
        kl: kl === null || isStart ? null : estimate(kl, words),
        length: estimate(lengths, words),
        examples: questions.map(({ messages }, i) => ({
          question: String(messages[0].content),
          answer: greedy[i],
          right: rightGreedy[i],
        })),
      };
    });
  } finally {
    await reference.close();
  }
}

interface Answers {
  /** Sampled answers, and greedy ones. */
  readonly texts: readonly string[];
  readonly greedy: readonly string[];
  readonly lengths: readonly number[];
  /** log π − log π_reference of each sampled answer; null for a model with prompts of another form. */
  readonly kl: readonly number[] | null;
}

async function answer(
  { name, model: path, shots }: Candidate,
  questions: readonly Exercise[],
  reference: TextModel,
  { signal, onProgress }: Calls,
): Promise<Answers> {
  const model = new CheckpointModel(await openTextModel(path));
  const note = (done: number) => onProgress?.({ task: "evaluate", done, total: 2, unit: "pass", note: name });
  try {
    const prompts = questions.map((exercise) =>
      shots === undefined ? { messages: exercise.messages } : { prompt: promptWith(exercise, shots) },
    );
    const settings = { tokens: ANSWER_TOKENS, topK: 0, signal, ...(shots !== undefined && { stop: ["\n"] }) };
    note(0);
    const greedy = await model.generate(prompts, { ...settings, temperature: 0 });
    note(1);
    const sampled = await model.generate(prompts, { ...settings, temperature: 1 });
    note(2);
    const trimmed = (list: typeof greedy) => list.map(({ completions }) => completions[0].text.trim());
    return {
      texts: trimmed(sampled),
      greedy: trimmed(greedy),
      lengths: sampled.map(({ completions }) => completions[0].tokens.length),
      kl:
        shots !== undefined
          ? null
          : await divergences(
              reference,
              questions,
              sampled.map(({ completions: [{ tokens, end }] }) => (end === null ? tokens : [...tokens, end])),
              signal,
            ),
    };
  } finally {
    await model.dispose();
  }
}

/** Solved questions of the same task, then the question. */
function promptWith({ task, messages }: Exercise, shots: readonly Exercise[]): string {
  const solved = shots.filter((shot) => shot.task === task);
  const lines = solved.map((shot) => `Question: ${shot.messages[0].content}\nAnswer: ${shot.answer}\n\n`);
  return `${lines.join("")}Question: ${messages[0].content}\nAnswer:`;
}

/** log π − log π_reference of answers that π sampled: their mean is an unbiased estimate of the KL divergence. */
async function divergences(
  { model, tokenizer }: TextModel,
  questions: readonly Exercise[],
  answers: readonly (readonly { readonly id: number; readonly logprob: number }[])[],
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const windows: { request: number; ids: number[]; start: number; length: number; from: number }[] = [];
  for (const [request, { messages }] of questions.entries()) {
    const text = await renderChat(tokenizer, messages, { addGenerationPrompt: true });
    const prompt = Array.from(tokenizer.encode(text, { special: "allow" }));
    const ids = [...prompt, ...answers[request].map(({ id }) => id)];
    windows.push({ request, ids, start: 0, length: ids.length - 1, from: prompt.length });
  }
  const own = answers.map((tokens) => tokens.reduce((total, { logprob }) => total + logprob, 0));
  const scorer = createScorer(model.config, model.readParameter);
  try {
    await scorer.score(windows, {
      signal,
      onWindow: ({ request }, nats) => {
        for (const each of nats) own[request] += each;
      },
    });
  } finally {
    scorer.dispose();
  }
  return own;
}

function shareOf(values: readonly boolean[]): Estimate {
  const count = values.filter(Boolean).length;
  const [low, high] = wilsonInterval(count, values.length);
  return { mean: values.length === 0 ? 0 : count / values.length, low, high };
}

/**
 * The mean of values with its 95 % interval. Values of one word are not independent, so their deviations are added up before they
 * are squared (clustered standard errors: Miller, "Adding error bars to evals", arXiv:2411.00640).
 */
export function estimate(values: readonly number[], words: readonly string[]): Estimate {
  const mean = values.reduce((total, value) => total + value, 0) / values.length;
  const sums = new Map<string, number>();
  for (const [i, value] of values.entries()) sums.set(words[i], (sums.get(words[i]) ?? 0) + value - mean);
  const half = (1.96 * Math.sqrt([...sums.values()].reduce((total, sum) => total + sum ** 2, 0))) / values.length;
  return { mean, low: mean - half, high: mean + half };
}

/** The scores as lines of a table. */
export function scoreTable(scores: readonly ModelScore[]): string[] {
  const percent = ({ mean, low, high }: Estimate) =>
    `${(100 * mean).toFixed(1)} (${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)})`;
  const signed = (each: Estimate) => `${each.mean > 0 ? "+" : ""}${percent(each)}`;
  const plain = ({ mean, low, high }: Estimate) => `${mean.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
  const or = (value: Estimate | null, format: (value: Estimate) => string) => (value === null ? "–" : format(value));
  const rows = scores.map((score) => [
    score.name,
    percent(score.accuracy),
    or(score.difference, signed),
    percent(score.greedy_accuracy),
    or(score.greedy_difference, signed),
    or(score.win_rate, percent),
    or(score.kl, plain),
    plain(score.length),
  ]);
  const head = [
    "model",
    "right %",
    "to SFT",
    "greedy %",
    "to SFT",
    "wins against SFT %",
    "KL from SFT, nats",
    "tokens",
  ];
  const byTask = [
    ["right %", ...TASKS],
    ...scores.map(({ name, accuracy_by_task }) => [
      name,
      ...TASKS.map((task) => (100 * accuracy_by_task[task]).toFixed(0)),
    ]),
  ];
  return [...aligned([head, ...rows]), "", ...aligned(byTask)];
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column] + 2)))
      .join("")
      .trimEnd(),
  );
}
