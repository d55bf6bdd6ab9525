/** @file Reads a text file of any length as pieces of a document, in bounded memory. */
import { readBytes } from "./compression.js";
import { pieceEnd } from "./cut.js";
import type { Document } from "./document.js";
import type { OpenFile } from "./inputs.js";

/** Text files of more bytes are read in pieces if the caller accepts pieces. */
export const STREAMED_TEXT = 2 ** 24;

/** Why a file is not text. */
export interface NoText {
  readonly reason: "not_utf8" | "nul_byte" | "empty";
  readonly detail?: string;
}

/** Reads a whole file and returns why it is not text; undefined if it is text. */
export async function checkTextFile(file: OpenFile, signal: AbortSignal | undefined): Promise<NoText | undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let at = 0;
  let isBlank = true;
  for await (const bytes of readBytes(file.path, file.compression, signal)) {
    const nul = bytes.indexOf(0);
    if (nul >= 0) return { reason: "nul_byte", detail: `a NUL byte, so it is not text, at byte ${at + nul}` };
    try {
      const text = decoder.decode(bytes, { stream: true });
      if (isBlank) isBlank = text.trim() === "";
    } catch {
      return { reason: "not_utf8", detail: `a byte that is not UTF-8, after byte ${at}` };
    }
    at += bytes.length;
  }
  try {
    decoder.decode();
  } catch {
    return { reason: "not_utf8", detail: `a byte that is not UTF-8, after byte ${at}` };
  }
  return isBlank ? { reason: "empty" } : undefined;
}

/** Yields the pieces of a text file that passed `checkTextFile`, cut exactly as `cutDocument` would cut the whole. */
export async function* textPieces(
  file: OpenFile,
  longest: number,
  {
    signal,
    onOpen,
  }: { readonly signal?: AbortSignal; readonly onOpen?: (counter: { readonly bytesRead: number }) => void },
): AsyncGenerator<Document> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let held = "";
  let number = 0;
  let offset = 0;
  const piece = (text: string): Document => {
    number += 1;
    const origin = { archive: file.location, offset };
    offset += Buffer.byteLength(text);
    return { text, id: `${file.id}#${number}`, source: file.source, origin };
  };
  for await (const bytes of readBytes(file.path, file.compression, signal, onOpen)) {
    held += decoder.decode(bytes, { stream: true });
    if (number === 0 && offset === 0 && held.startsWith("\ufeff")) {
      held = held.slice(1);
      offset = 3;
    }
    let start = 0;
    while (start + Math.ceil(longest) < held.length) {
      const end = pieceEnd(held, start, longest);
      yield piece(held.slice(start, end));
      start = end;
    }
    held = held.slice(start);
  }
  held += decoder.decode();
  if (held === "") return;
  // A text that was not cut keeps its id.
  yield number === 0 ? { ...piece(held), id: file.id } : piece(held);
}
