/** @file Reads the body of one tool call, which arrives in pieces. */
import type { ReaderOptions } from "./answer-pieces.js";
import type { CallSyntax } from "./call-format.js";
import { objectScanner, stringOf, valueScanner } from "./json-scanner.js";

export interface CallSink {
  /** @param id the call's own, if the model writes one */
  readonly announce: (name: string, id?: string) => void;
  readonly write: (text: string) => void;
}

export interface BodyReader {
  readonly isBegun: boolean;
  readonly isAnnounced: boolean;
  readonly state: "more" | "over" | "broken";
  /** Takes the characters that belong to the body and returns their number. */
  take(text: string): number;
}

export function bodyReader(syntax: CallSyntax, sink: CallSink, isText: ReaderOptions["isText"]): BodyReader {
  switch (syntax.kind) {
    case "object":
      return objectBody(syntax, sink);
    case "named":
      return namedBody(syntax, sink);
    case "tagged":
      return taggedBody(syntax, sink, isText);
    default:
      return syntax satisfies never;
  }
}

function objectBody({ nameKey, argumentsKey }: Extract<CallSyntax, { kind: "object" }>, sink: CallSink): BodyReader {
  let name = "";
  let isAnnounced = false;
  let isBegun = false;
  /** Arguments that came before the name, or are JSON in a string. */
  let kept = "";
  let keeps = false;
  let hasArguments = false;
  let isNameless = false;
  const scanner = objectScanner((key, piece, isOver) => {
    if (key === nameKey) {
      name += piece;
      if (!isOver) return;
      isNameless = !name.startsWith('"');
      if (isNameless) return;
      isAnnounced = true;
      sink.announce(stringOf(name));
    } else if (key === argumentsKey) {
      if (!hasArguments) keeps = !isAnnounced || piece.startsWith('"');
      hasArguments = true;
      if (keeps) kept += piece;
      else sink.write(piece);
    }
  });
  return {
    get isBegun() {
      return isBegun;
    },
    get isAnnounced() {
      return isAnnounced;
    },
    get state() {
      if (isNameless || scanner.isBroken || (scanner.isOver && !isAnnounced)) return "broken";
      return scanner.isOver ? "over" : "more";
    },
    take(text) {
      isBegun ||= text !== "";
      const end = scanner.take(text, 0);
      if (scanner.isOver && isAnnounced) {
        if (!hasArguments) sink.write("{}");
        else if (keeps) sink.write(stringOf(kept));
      }
      return end;
    },
  };
}

function namedBody({ open, nameEnd, counter }: Extract<CallSyntax, { kind: "named" }>, sink: CallSink): BodyReader {
  const mark = nameEnd.trim();
  const scanner = valueScanner();
  let isAnnounced = false;
  let isBegun = false;
  return {
    isBegun: true,
    get isAnnounced() {
      return isAnnounced;
    },
    get state() {
      return scanner.isOver ? "over" : "more";
    },
    take(text) {
      let from = 0;
      if (!isAnnounced) {
        const at = text.indexOf(mark);
        if (at < 0) return 0;
        isAnnounced = true;
        const head = text.slice(0, at).trim();
        // Kimi's name has a number, and both are the id; Mistral may write an id after the name.
        if (counter !== undefined) sink.announce(head.split(counter)[0], open.slice(open.lastIndexOf(">") + 1) + head);
        else sink.announce(head.split("[CALL_ID]")[0].trim());
        from = at + mark.length;
      }
      if (!isBegun) from += text.slice(from).length - text.slice(from).trimStart().length;
      if (from >= text.length) return text.length;
      isBegun = true;
      const end = scanner.take(text, from);
      sink.write(text.slice(from, end));
      return end;
    },
  };
}

function taggedBody(
  syntax: Extract<CallSyntax, { kind: "tagged" }>,
  sink: CallSink,
  isText: ReaderOptions["isText"],
): BodyReader {
  const { nameEnd, keyOpen, keyClose, jsonKeyClose, valueClose, close } = syntax;
  const last = close.split("\n")[0];
  const hasLines = keyClose.endsWith("\n");
  const separators = [
    { mark: separatorOf(keyClose), isMarkedText: jsonKeyClose === undefined ? undefined : true },
    ...(jsonKeyClose === undefined ? [] : [{ mark: separatorOf(jsonKeyClose), isMarkedText: false }]),
  ];
  let name: string | undefined;
  let count = 0;
  let isOver = false;
  /** The next argument, or the end; 0 if more text is needed. */
  const next = (text: string): number => {
    const start = text.length - text.trimStart().length;
    const rest = text.slice(start);
    if (rest.startsWith(last)) {
      isOver = true;
      sink.write(count === 0 ? "{}" : "}");
      return start + last.length;
    }
    if (!rest.startsWith(keyOpen)) return 0;
    const found = separators
      .flatMap(({ mark, isMarkedText }) => {
        const match = mark.exec(rest.slice(keyOpen.length));
        return match === null ? [] : [{ at: match.index, length: match[0].length, isMarkedText }];
      })
      .sort((a, b) => a.at - b.at)
      .at(0);
    if (found === undefined) return 0;
    const key = rest.slice(keyOpen.length, keyOpen.length + found.at);
    const valueAt = keyOpen.length + found.at + found.length;
    const end = rest.indexOf(valueClose.trim(), valueAt);
    if (end < 0) return 0;
    const value = argumentOf(rest.slice(valueAt, end), found.isMarkedText ?? isText(name!, key), hasLines);
    sink.write(`${count === 0 ? "{" : ", "}${JSON.stringify(key)}: ${value}`);
    count += 1;
    return start + end + valueClose.trim().length;
  };
  return {
    isBegun: true,
    get isAnnounced() {
      return name !== undefined;
    },
    get state() {
      return isOver ? "over" : "more";
    },
    take(text) {
      let from = 0;
      if (name === undefined) {
        const at = text.indexOf(nameEnd.trim() === "" ? nameEnd : nameEnd.trim());
        if (at < 0) return 0;
        name = text.slice(0, at).trim();
        sink.announce(name);
        from = at + nameEnd.trim().length;
      }
      for (let length = -1; length !== 0 && !isOver; from += length) length = next(text.slice(from));
      return from;
    },
  };
}

/** Matches what stands between a key and its value, with any white space where the format has a line break. */
function separatorOf(keyClose: string): RegExp {
  const parts = keyClose.trimEnd().split("\n");
  return new RegExp(parts.map((part) => part.replace(/[^\w\s]/g, "\\$&")).join("\\s*"));
}

/** A tagged argument as JSON. */
function argumentOf(text: string, isText: boolean, hasLines: boolean): string {
  const value = hasLines ? text.replace(/^\n/, "").replace(/\n$/, "") : text;
  if (isText) return JSON.stringify(value);
  try {
    return JSON.stringify(JSON.parse(value));
  } catch {
    return JSON.stringify(value);
  }
}
