/** @file What runs in a worker thread: tasks of one run, one after the other. */
import { parentPort, workerData } from "node:worker_threads";
import { QuernError } from "../../errors.js";
import { loadRecipe } from "./load-recipe.js";
import type { WorkerReply } from "./pool.js";
import { runTask } from "./run-task.js";
import type { Task, TaskConfig } from "./tasks.js";

const port = parentPort;
if (port === null) throw new Error("this module runs in a worker thread");
const config = workerData as TaskConfig;
const send = (reply: WorkerReply) => port.postMessage(reply);
const recipe = loadRecipe(config.recipe);

port.on("message", async (task: Task) => {
  try {
    const manifest = await runTask(task, config, await recipe, {
      onProgress: (documents) => send({ progress: documents }),
    });
    send({ manifest });
  } catch (error) {
    send({
      error:
        error instanceof Error
          ? error instanceof QuernError
            ? error.message
            : (error.stack ?? error.message)
          : String(error),
      refused: error instanceof QuernError,
    });
  }
});
// A recipe that does not load is told with the first task.
recipe.catch(() => {});
