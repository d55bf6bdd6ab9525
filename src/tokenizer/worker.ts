/** @file What runs in the tokenizer's worker threads: counting pretokens, encoding documents. */
import { parentPort, workerData } from "node:worker_threads";
import { QuernError } from "../errors.js";
import { countTask } from "./count-task.js";
import { encodeTask } from "./document-encoder.js";
import { splitterFor } from "./patterns.js";
import { PretokenCounter, type PretokenCounts } from "./pretoken-counts.js";
import { tokenizerFromSnapshot } from "./snapshot.js";
import { TextParts } from "./text-parts.js";
import type { CountResult, CountTask, EncodeOrder, Reply, Setup } from "./worker-tasks.js";

const port = parentPort;
if (port === null) throw new Error("this module runs in a worker thread");
const setup = workerData as Setup;
const answer = setup.work === "count" ? await counting(setup) : await encoding(setup);

port.on("message", (task: unknown) => {
  try {
    const { result, transfer } = answer(task);
    port.postMessage({ result } satisfies Reply, transfer);
  } catch (error) {
    port.postMessage({
      error: error instanceof Error ? error.message : String(error),
      refused: error instanceof QuernError ? { exitCode: error.exitCode } : undefined,
    } satisfies Reply);
  }
});
port.postMessage("ready" satisfies Reply);

type Answer = (task: unknown) => { readonly result: unknown; readonly transfer: ArrayBuffer[] };

async function counting({ pattern, kept }: Extract<Setup, { work: "count" }>): Promise<Answer> {
  const parts = new TextParts(await splitterFor(pattern));
  const counter = new PretokenCounter();
  const give = (counts: PretokenCounts | undefined, found: Pick<CountResult, "documents" | "unread">) => ({
    result: { counts, ...found } satisfies CountResult,
    transfer: counts === undefined ? [] : [counts.bytes.buffer, counts.starts.buffer, counts.counts.buffer],
  });
  return (task) => {
    const wanted = task as CountTask;
    if (wanted === "take") return give(counter.take(), { documents: 0, unread: undefined });
    const found = countTask(wanted, parts, counter);
    // Else every worker would come to hold what is rare, and all of them together a multiple of what there is.
    return give(counter.size > kept ? counter.take() : undefined, found);
  };
}

async function encoding({ tokenizer: snapshot, endOfText }: Extract<Setup, { work: "encode" }>): Promise<Answer> {
  const tokenizer = await tokenizerFromSnapshot(snapshot);
  return (order) => {
    const { task, into } = order as EncodeOrder;
    const result = encodeTask(tokenizer, task, endOfText, into);
    return { result, transfer: [result.ends.buffer] };
  };
}
