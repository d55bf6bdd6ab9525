/** @file The tokenizer's worker threads, which count pretokens or encode documents. */
import type { Answer, Answered } from "../executors/index.js";
import { splitterFor } from "./encode/patterns.js";
import { TextParts } from "./encode/text-parts.js";
import { countTask } from "./learn/count-task.js";
import { PretokenCounter, type PretokenCounts } from "./learn/pretoken-counts.js";
import { encodeTask } from "./shards/document-encoder.js";
import { tokenizerFromSnapshot } from "./snapshot.js";
import type { CountResult, CountTask, EncodeRequest, EncodeResult, Setup } from "./worker-tasks.js";

export async function openWorker(
  setup: Setup,
): Promise<Answer<CountTask, CountResult> | Answer<EncodeRequest, EncodeResult>> {
  return setup.work === "count" ? counting(setup) : encoding(setup);
}

async function counting({
  pattern,
  maxDistinct,
}: Extract<Setup, { work: "count" }>): Promise<Answer<CountTask, CountResult>> {
  const parts = new TextParts(await splitterFor(pattern));
  const counter = new PretokenCounter();
  const answer = (
    counts: PretokenCounts | undefined,
    found: Pick<CountResult, "documents" | "unread">,
  ): Answered<CountResult> => ({
    result: { counts, ...found },
    transfer: counts === undefined ? [] : [counts.bytes.buffer, counts.starts.buffer, counts.counts.buffer],
  });
  return (task) => {
    if (task === "take") return answer(counter.take(), { documents: 0, unread: undefined });
    const found = countTask(task, parts, counter);
    // Without this limit every worker would accumulate the rare pretokens, and together they would store them many times over.
    return answer(counter.size > maxDistinct ? counter.take() : undefined, found);
  };
}

async function encoding({
  tokenizer: snapshot,
  endOfText,
}: Extract<Setup, { work: "encode" }>): Promise<Answer<EncodeRequest, EncodeResult>> {
  const tokenizer = await tokenizerFromSnapshot(snapshot);
  return ({ task, into }) => {
    const result = encodeTask(tokenizer, task, endOfText, into);
    return { result, transfer: [result.ends.buffer] };
  };
}
