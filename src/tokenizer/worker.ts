/** @file What runs in the tokenizer's worker threads: counting pretokens, encoding documents. */
import { parentPort, workerData } from "node:worker_threads";
import { QuernError } from "../errors.js";
import { encodeDocuments } from "./document-encoder.js";
import { splitterFor } from "./patterns.js";
import { PretokenCounter } from "./pretoken-counts.js";
import { tokenizerFromSnapshot } from "./snapshot.js";
import { TextParts } from "./text-parts.js";
import type { CountTask, EncodeTask, Reply, Setup } from "./worker-tasks.js";

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
      refused: error instanceof QuernError,
    } satisfies Reply);
  }
});

type Answer = (task: unknown) => { readonly result: unknown; readonly transfer: ArrayBuffer[] };

async function counting({ pattern, kept }: Extract<Setup, { work: "count" }>): Promise<Answer> {
  const parts = new TextParts(await splitterFor(pattern));
  const counter = new PretokenCounter();
  const take = () => {
    const counts = counter.take();
    return { result: counts, transfer: [counts.bytes.buffer, counts.starts.buffer, counts.counts.buffer] };
  };
  return (task) => {
    const wanted = task as CountTask;
    if (wanted === "take") return take();
    for (const text of wanted.texts) {
      for (let start = 0; start < text.length; ) {
        start = parts.load(text, start);
        counter.add(parts.bytes, parts.view, 0, parts.bounds, parts.count);
      }
    }
    parts.release();
    // Else every worker would come to hold what is rare, and all of them together a multiple of what there is.
    return counter.size > kept ? take() : { result: undefined, transfer: [] };
  };
}

async function encoding({ tokenizer: snapshot, endOfText }: Extract<Setup, { work: "encode" }>): Promise<Answer> {
  const tokenizer = await tokenizerFromSnapshot(snapshot);
  return (task) => {
    const { texts } = task as EncodeTask;
    const result = encodeDocuments(tokenizer, texts, endOfText);
    return { result, transfer: [result.ids.buffer, result.ends.buffer] };
  };
}
