/** @file The entry point of a pool's worker threads: loads the pool's module and runs tasks, one after another. */
import { parentPort, workerData } from "node:worker_threads";
import { sendError } from "./sent-error.js";
import type { Answer, PoolReply, WorkerModule } from "./worker-pool.js";

const port = parentPort;
if (port === null) throw new Error("this module runs in a worker thread");
const send = (reply: PoolReply, transfer: readonly ArrayBuffer[] = []) => port.postMessage(reply, transfer);

const { module, setup } = workerData as { readonly module: string; readonly setup: unknown };
const opened: Promise<Answer<unknown, unknown, unknown>> = import(module).then((loaded: WorkerModule) =>
  loaded.openWorker(setup),
);
opened.then(
  () => send({ kind: "ready" }),
  // A loading error is reported by the first task.
  () => {},
);

async function answer(task: unknown): Promise<void> {
  try {
    const work = await opened;
    const { result, transfer } = await work(task, (message) => send({ kind: "message", message }));
    send({ kind: "result", result }, transfer);
  } catch (error) {
    send({ kind: "error", error: sendError(error) });
  }
}

let last: Promise<void> = Promise.resolve();
port.on("message", (task: unknown) => {
  last = last.then(() => answer(task));
});
