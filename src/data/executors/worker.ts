/** @file What runs in a worker thread: tasks of one plan, one after the other, as long as there are any. */
import { parentPort, workerData } from "node:worker_threads";
import { QuernError } from "../../errors.js";
import { openWork } from "../works.js";
import type { StageOrder, WorkerReply } from "./local.js";
import type { WorkPlan } from "./work.js";

const port = parentPort;
if (port === null) throw new Error("this module runs in a worker thread");
const send = (reply: WorkerReply) => port.postMessage(reply);
const opened = openWork(workerData as WorkPlan);

port.on("message", async ({ stage, tasks, next }: StageOrder) => {
  for (let place = Atomics.add(next, 0, 1); place < tasks.length; place = Atomics.add(next, 0, 1)) {
    send({ started: place });
    try {
      const run = await opened;
      const onProgress = (documents: number) => send({ progress: place, documents });
      send({ finished: place, result: await run(stage, tasks[place], { onProgress }) });
    } catch (error) {
      const refused = error instanceof QuernError;
      const told = !(error instanceof Error) ? String(error) : refused ? error.message : (error.stack ?? error.message);
      send({ failed: place, error: told, refused });
    }
  }
  send({ idle: true });
});
// A recipe that does not load is told with the first task.
opened.catch(() => {});
