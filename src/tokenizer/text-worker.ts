/** @file The tokenizer's worker threads: counting pretokens, encoding documents. */
import type { Answer, Answered } from "../executors/index.js";
import { splitterFor } from "./encode/patterns.js";
import { TextParts } from "./encode/text-parts.js";
import { countTask } from "./learn/count-task.js";
import { PretokenCounter, type PretokenCounts } from "./learn/pretoken-counts.js";
import { encodeTask } from "./shards/document-encoder.js";
import { tokenizerFromSnapshot } from "./snapshot.js";
import type { CountResult, CountTask, EncodeOrder, EncodeResult, Setup } from "./worker-tasks.js";

export async function openWorker(
  setup: Setup,
): Promise<Answer<CountTask, CountResult> | Answer<EncodeOrder, EncodeResult>> {
  return setup.work === "count" ? counting(setup) : encoding(setup);
}

async function counting({ pattern, kept }: Extract<Setup, { work: "count" }>): Promise<Answer<CountTask, CountResult>> {
  const parts = new TextParts(await splitterFor(pattern));
  const counter = new PretokenCounter();
  const give = (
    counts: PretokenCounts | undefined,
    found: Pick<CountResult, "documents" | "unread">,
  ): Answered<CountResult> => ({
    result: { counts, ...found },
    transfer: counts === undefined ? [] : [counts.bytes.buffer, counts.starts.buffer, counts.counts.buffer],
  });
  return (task) => {
    if (task === "take") return give(counter.take(), { documents: 0, unread: undefined });
    const found = countTask(task, parts, counter);
    // Else every worker would come to hold what is rare, and all of them together a multiple of what there is.
    return give(counter.size > kept ? counter.take() : undefined, found);
  };
}

async function encoding({
  tokenizer: snapshot,
  endOfText,
}: Extract<Setup, { work: "encode" }>): Promise<Answer<EncodeOrder, EncodeResult>> {
  const tokenizer = await tokenizerFromSnapshot(snapshot);
  return ({ task, into }) => {
    const result = encodeTask(tokenizer, task, endOfText, into);
    return { result, transfer: [result.ends.buffer] };
  };
}
