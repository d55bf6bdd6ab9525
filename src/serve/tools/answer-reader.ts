/** @file Splits an answer that arrives in pieces into its text and its tool calls. */
import type { AnswerPiece, AnswerReader, ReaderOptions } from "./answer-pieces.js";
import { type BodyReader, bodyReader, type CallSink } from "./call-bodies.js";
import { type CallFormat, openingKeys, sectionsOf, triggerOf } from "./call-format.js";
import { heldBack } from "./held-back.js";
import { sectionReader } from "./section-reader.js";
import { openingOf, PYTHON_TAG } from "./whole-call.js";

/** Reads an answer that has no calls. */
export function textReader(): AnswerReader {
  return { calls: 0, push: (text) => (text === "" ? [] : [{ type: "text", text }]), end: () => [] };
}

/** Reads an answer with calls in the given format. What looks like a call and is none is text. */
export function answerReader(format: CallFormat, options: ReaderOptions): AnswerReader {
  const { syntax } = format;
  const sections = sectionsOf(format);
  if (sections !== undefined) return sectionReader(sections, options);
  const { newId, isText } = options;
  const trigger = triggerOf(syntax);
  let mode: "start" | "text" | "open" | "body" | "after" = trigger === "" ? "start" : "text";
  let buffer = "";
  /** What was read since the last call was announced; text again if no call comes of it. */
  let raw = "";
  let isRegionBegun = false;
  let calls = 0;
  let pieces: AnswerPiece[] = [];
  let body: BodyReader | undefined;
  let isInList = false;

  const emitText = (text: string) => {
    if (text !== "") pieces.push({ type: "text", text });
  };
  const consume = (length: number) => {
    raw += buffer.slice(0, length);
    buffer = buffer.slice(length);
  };
  const skipSpace = () => consume(buffer.length - buffer.trimStart().length);
  const giveUp = () => {
    if (body?.isAnnounced !== true) emitText(raw);
    raw = "";
    isInList = false;
    isRegionBegun = false;
    body = undefined;
    mode = "text";
  };
  const announce = (name: string, id = newId()) => {
    pieces.push({ type: "call", call: calls, id, name });
    calls += 1;
    raw = "";
  };
  const newBody = () => {
    const sink: CallSink = {
      announce,
      write: (text) => text !== "" && pieces.push({ type: "arguments", call: calls - 1, text }),
    };
    mode = "body";
    body = bodyReader(syntax, sink, isText);
  };

  /** Reads on; false if more text is needed. */
  const step = (isLast: boolean): boolean => {
    switch (mode) {
      case "start": {
        // A call is the whole answer.
        const opening = openingOf(buffer, openingKeys(syntax));
        if (opening === "more" && !isLast) return false;
        mode = opening === "call" ? "open" : "text";
        if (buffer.trimStart().startsWith(PYTHON_TAG)) buffer = buffer.trimStart().slice(PYTHON_TAG.length);
        return true;
      }
      case "text": {
        const at = trigger === "" ? -1 : buffer.indexOf(trigger);
        if (at >= 0) {
          // Space before a call separates it from the text.
          const text = buffer.slice(0, at).trimEnd();
          emitText(text);
          raw = buffer.slice(text.length, at);
          buffer = buffer.slice(at);
          mode = "open";
          return true;
        }
        const sure = isLast || trigger === "" ? buffer.length : sureLength(buffer, trigger);
        emitText(buffer.slice(0, sure));
        buffer = buffer.slice(sure);
        return false;
      }
      case "open": {
        skipSpace();
        if (!isRegionBegun && syntax.start !== "") {
          if (!take(syntax.start.trimEnd())) return false;
        }
        isRegionBegun = true;
        skipSpace();
        const open = syntax.open.trim();
        if (!take(open)) {
          if (open.startsWith(buffer) && !isLast) return false;
          giveUp();
          return true;
        }
        newBody();
        return true;
      }
      case "body": {
        if (syntax.kind === "object" && !body!.isBegun) {
          skipSpace();
          if (buffer === "") return false;
          if (isInList ? buffer[0] === "," : buffer[0] === "[") {
            isInList = true;
            consume(1);
            return true;
          }
          if (isInList && buffer[0] === "]") {
            consume(1);
            isInList = false;
            mode = "after";
            return true;
          }
        }
        const length = body!.take(buffer);
        consume(length);
        if (body!.state === "broken") giveUp();
        else if (body!.state === "over") {
          raw = "";
          body = undefined;
          if (isInList) newBody();
          else mode = "after";
        } else return length > 0 && buffer !== "";
        return true;
      }
      case "after": {
        skipSpace();
        raw = "";
        if (buffer === "") return false;
        const closers = [...syntax.close.split("\n"), syntax.end, syntax.separator].map((each) => each.trim());
        const closer = closers.find((each) => each !== "" && buffer.startsWith(each));
        if (closer !== undefined) {
          consume(closer.length);
          return true;
        }
        const open = syntax.open.trim() === "" ? "{" : syntax.open.trim();
        if (buffer.startsWith(open)) {
          mode = "open";
          return true;
        }
        if (!isLast && [open, ...closers].some((each) => each.startsWith(buffer))) return false;
        giveUp();
        return true;
      }
      default:
        return mode satisfies never;
    }
  };
  const take = (text: string): boolean => {
    if (!buffer.startsWith(text)) return false;
    consume(text.length);
    return true;
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
    end() {
      const last = [...run(true)];
      pieces = [];
      if (mode === "open" || mode === "body") emitText(body?.isAnnounced === true ? "" : raw + buffer);
      buffer = "";
      return [...last, ...pieces];
    },
  };
}

/** Length of a text without what may begin a trigger, and the space before that. */
function sureLength(text: string, trigger: string): number {
  return text.slice(0, text.length - heldBack(text, trigger)).trimEnd().length;
}
