/** @file What runs in a worker thread: tasks of one plan, one after the other. */
import { parentPort, workerData } from "node:worker_threads";
import { QuernError } from "../../errors.js";
import { openWork } from "../works.js";
import type { TaskOrder, WorkerReply } from "./local.js";
import type { WorkPlan } from "./work.js";

const port = parentPort;
if (port === null) throw new Error("this module runs in a worker thread");
const send = (reply: WorkerReply) => port.postMessage(reply);
const opened = openWork(workerData as WorkPlan);

port.on("message", async ({ stage, task }: TaskOrder) => {
  try {
    const run = await opened;
    send({ result: await run(stage, task, { onProgress: (documents) => send({ progress: documents }) }) });
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
opened.catch(() => {});
