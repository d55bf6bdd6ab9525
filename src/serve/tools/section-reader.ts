/** @file Splits an answer of sections that arrives in pieces into its text and its tool calls. */
import type { AnswerPiece, AnswerReader, ReaderOptions } from "./answer-pieces.js";
import { heldBack } from "./held-back.js";
import type { Recipient, Sections } from "./sections.js";

/** Text for nobody is dropped; text without a header is the user's. */
export function sectionReader(
  { headerEnd, ends, mayBegin, recipientOf }: Sections,
  { newId, isTool, isContinued }: Pick<ReaderOptions, "newId" | "isTool" | "isContinued">,
): AnswerReader {
  let buffer = "";
  let calls = 0;
  /** Whom the section is for; null in a header. */
  let recipient: Recipient | null = isContinued ? { to: "user" } : null;
  let hasArguments = false;
  let pieces: AnswerPiece[] = [];

  const emit = (length: number) => {
    const text = buffer.slice(0, length);
    buffer = buffer.slice(length);
    if (text === "") return;
    if (recipient?.to === "user") pieces.push({ type: "text", text });
    else if (recipient?.to === "function") {
      hasArguments ||= text.trim() !== "";
      pieces.push({ type: "arguments", call: calls - 1, text });
    } else pieces.push({ type: "hidden" });
  };
  /** Drops a header or mark. */
  const drop = (length: number) => {
    buffer = buffer.slice(length);
    pieces.push({ type: "hidden" });
  };
  const begin = (found: Recipient) => {
    recipient = found;
    if (found.to !== "function") return;
    pieces.push({ type: "call", call: calls, id: newId(), name: found.name });
    calls += 1;
    hasArguments = false;
  };
  const endSection = () => {
    if (recipient?.to === "function" && !hasArguments) {
      pieces.push({ type: "arguments", call: calls - 1, text: "{}" });
    }
    recipient = null;
  };

  /** Reads on; false if more text is needed. */
  const step = (isLast: boolean): boolean => {
    if (recipient === null) {
      const at = buffer.indexOf(headerEnd);
      const header = at < 0 ? buffer : buffer.slice(0, at);
      if (at < 0 && !isLast && mayBegin(buffer)) return false;
      if (buffer === "") return false;
      const found = recipientOf(header, isTool);
      if (found === null) {
        begin({ to: "user" });
        return true;
      }
      drop(at < 0 ? buffer.length : at + headerEnd.length);
      if (at >= 0) begin(found);
      return true;
    }
    const places = ends.map((end) => [buffer.indexOf(end), end.length]).filter(([at]) => at >= 0);
    if (places.length > 0) {
      const [at, length] = places.reduce((first, each) => (each[0] < first[0] ? each : first));
      emit(at);
      endSection();
      drop(length);
      return true;
    }
    emit(isLast ? buffer.length : buffer.length - Math.max(...ends.map((end) => heldBack(buffer, end))));
    if (isLast) endSection();
    return false;
  };
  const run = (isLast: boolean): readonly AnswerPiece[] => {
    pieces = [];
    while (step(isLast)) {}
    return pieces;
  };
  return {
    get calls() {
      return calls;
    },
    push(text) {
      buffer += text;
      return run(false);
    },
    end: () => run(true),
  };
}
