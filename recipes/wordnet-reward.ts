/**
 * @file The verifiable reward of the speedrun: 1 for an answer that WordNet or arithmetic accepts, else 0. It is a reward file of
 * `quern grpo`:
 *
 *     npx quern grpo --model RUN --prompts prompts.jsonl --reward dist/recipes/wordnet-reward.js --out RUN2
 */
import { readWordNet } from "./wordnet.js";
import { createWordNetTasks, TASKS, type TaskName, type WordNetTasks } from "./wordnet-tasks.js";

let known: Promise<WordNetTasks> | undefined;
/** WordNet's tasks, read once. */
export const wordNetTasks = (signal?: AbortSignal): Promise<WordNetTasks> =>
  (known ??= readWordNet({ signal }).then((wordnet) => createWordNetTasks(wordnet)));

/**
 * Rewards an answer to an exercise.
 * @param example row of a prompt; its keys `task` and `word` say what was asked
 * @throws RangeError for an unknown task
 */
export async function reward(
  _prompt: unknown,
  completion: unknown,
  example: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { task, word } = example;
  if (!TASKS.includes(task as TaskName) || typeof word !== "string") {
    throw new RangeError(`a prompt needs a task (${TASKS.join(", ")}) and a word; it has ${task} and ${word}`);
  }
  const tasks = await wordNetTasks();
  return tasks.accepts(task as TaskName, word, textOf(completion)) ? 1 : 0;
}

/** The text of a completion: itself, or the last message's. */
function textOf(completion: unknown): string {
  if (typeof completion === "string") return completion;
  const last = (completion as readonly { readonly content?: unknown }[]).at(-1)?.content;
  return typeof last === "string" ? last : "";
}
