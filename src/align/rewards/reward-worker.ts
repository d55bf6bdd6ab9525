/** @file The worker thread that runs the reward of a file (`reward-file.ts`). */
import { Console } from "node:console";
import { resolve } from "node:path";
import { QuernError } from "../../errors.js";
import type { Answer } from "../../executors/index.js";
import { quoted } from "../../printable.js";
import { exportedFunction, openUserModule } from "../../user-module.js";
import { functionSource, messageOf, type Reward, type RewardCall } from "./reward.js";
import type { FileMessage, FileSetup } from "./reward-file.js";

/** Loads the file. */
export async function openWorker({
  name,
  path,
  ...options
}: FileSetup): Promise<Answer<readonly RewardCall[], readonly number[], FileMessage>> {
  // What a reward prints must not mix with the results on standard output.
  globalThis.console = new Console(process.stderr);
  const reward = await loadReward(path);
  return async (calls, send) => {
    let next = 0;
    const announced: Reward = async (...call) => {
      const index = next++; // calls begin in their order
      send({ began: index });
      try {
        return await reward(...call);
      } catch (error) {
        throw new Error(`${messageOf(error)}${placeOf(error, path)}`, { cause: error });
      } finally {
        send({ ended: index });
      }
    };
    const result = await functionSource(name, announced, options).score(calls, new AbortController().signal);
    return { result };
  };
}

/** Where in the file an error was thrown: ` at lengths.ts:12:5`. */
function placeOf(error: unknown, path: string): string {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const file = resolve(path);
  const line = stack.split("\n").find((each) => each.includes(file));
  const position = line?.slice(line.indexOf(file) + file.length).match(/^:\d+:\d+/)?.[0];
  return position === undefined ? "" : ` at ${path}${position}`;
}

async function loadReward(path: string): Promise<Reward> {
  const module = await openUserModule(path, {
    "quern/align": () => import("../index.js"),
    "quern/executors": () => import("../../executors/index.js"),
    "quern/infer": () => import("../../infer/index.js"),
  });
  let loaded: Readonly<Record<string, unknown>>;
  try {
    loaded = await module.load();
  } catch (cause) {
    throw new QuernError(`the reward file ${path} cannot be loaded: ${quoted(messageOf(cause))}`, {
      exitCode: 2,
      cause,
    });
  }
  const found = exportedFunction(loaded, "reward");
  if (found !== undefined) return found as Reward;
  const names = Object.keys(loaded).join(", ");
  throw new QuernError(
    `the reward file ${path} exports no reward; export a function reward(prompt, completion, example) or a default ` +
      `function${names === "" ? "" : ` (it exports ${names})`}`,
    { exitCode: 2 },
  );
}
