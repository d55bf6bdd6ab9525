/**
 * @file A reward from a TypeScript or JavaScript file. It runs in a worker thread: a loop that never ends can only be
 * stopped there, and rewards of a batch do not hold up the progress of a run.
 */
import { basename, extname } from "node:path";
import { QuernError } from "../../errors.js";
import { WorkerPool } from "../../executors/index.js";
import { type FunctionOptions, type RewardCall, type RewardSource, timedOut } from "./reward.js";

export interface FileSetup extends FunctionOptions {
  readonly name: string;
  readonly path: string;
}

/** Says which call begins or ends, while the thread may be busy. */
export type FileMessage = { readonly began: number } | { readonly ended: number };

export const isRewardFile = (name: string) => /\.[cm]?[jt]s$/.test(name);

/** Seconds beyond the time limit until the thread is ended: waiting rewards are stopped inside of it. */
const GRACE = 1;

/**
 * Opens a reward file.
 * @throws QuernError for a file that cannot be loaded, or that exports no function
 */
export async function openRewardFile(path: string, options: FunctionOptions): Promise<RewardSource> {
  const name = basename(path, extname(path));
  const { timeoutSeconds } = options;
  const setup: FileSetup = { ...options, name, path };
  const module = new URL("./reward-worker.js", import.meta.url);
  const pool = new WorkerPool<readonly RewardCall[], readonly number[], FileMessage>({ module, setup, threads: 1 });
  const hangs = new QuernError(`the reward file ${path} does not load within ${timeoutSeconds + GRACE} seconds`);
  const timer = setTimeout(() => void pool.end(hangs), 1000 * (timeoutSeconds + GRACE));
  try {
    await pool.runOn(0, []); // loads the file
  } catch (error) {
    await pool.close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return {
    name,
    async score(calls, signal) {
      signal.throwIfAborted();
      const timers = new Map<number, NodeJS.Timeout>();
      const stop = () => void pool.end(signal.reason);
      signal.addEventListener("abort", stop, { once: true });
      const onMessage = (message: FileMessage) => {
        if ("ended" in message) {
          clearTimeout(timers.get(message.ended));
          timers.delete(message.ended);
          return;
        }
        // A busy thread began its last call and no other.
        const late = () => void pool.end(timedOut(name, calls[[...timers.keys()].at(-1) ?? 0], timeoutSeconds));
        timers.set(message.began, setTimeout(late, 1000 * (timeoutSeconds + GRACE)));
      };
      try {
        return await pool.runOn(0, calls.map(sendable), { onMessage });
      } catch (error) {
        if ((error as Error).name !== "DataCloneError") throw error;
        throw new QuernError(`an example has fields that cannot be sent to the reward ${name}`, { cause: error });
      } finally {
        signal.removeEventListener("abort", stop);
        for (const timer of timers.values()) clearTimeout(timer);
      }
    },
    close: () => pool.close(),
  };
}

const sendable = ({ prompt, completion, example, place, tokens }: RewardCall): RewardCall => {
  return { prompt, completion, example, place, tokens };
};
