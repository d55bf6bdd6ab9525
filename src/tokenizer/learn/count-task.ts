/** @file Counts the pretokens of one task. */
import type { ReadReport } from "../../documents/index.js";
import type { TextParts } from "../encode/text-parts.js";
import { textsOfTask } from "../text-tasks.js";
import type { TextTask } from "../worker-tasks.js";
import type { PretokenCounter } from "./pretoken-counts.js";

/** Adds a task's pretokens to `counter`; returns the number of documents that end in it, and a report of skipped records. */
export function countTask(
  task: TextTask,
  parts: TextParts,
  counter: PretokenCounter,
): { readonly documents: number; readonly unread: ReadReport | undefined } {
  if (task.kind === "bytes") {
    const view = new DataView(task.bytes.buffer);
    const count = (from: number, to: number): void =>
      parts.eachPart(task.bytes, from, to, (start) => counter.add(task.bytes, view, start, parts.bounds, parts.count));
    let from = task.start;
    for (const end of task.ends) {
      count(from, end);
      from = end;
    }
    if (from < task.end) count(from, task.end);
    parts.release();
    return { documents: task.ends.length, unread: undefined };
  }
  const { texts, unread } = textsOfTask(task);
  for (const text of texts) {
    for (let start = 0; start < text.length; ) {
      start = parts.load(text, start);
      counter.add(parts.bytes, parts.view, 0, parts.bounds, parts.count);
    }
    parts.release();
  }
  return { documents: texts.length, unread };
}
