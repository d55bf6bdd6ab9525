/** @file Shows the tokens of a text, coloured for a terminal or as an HTML page. */
import { count, escapeHtml, page, table } from "../pages/index.js";
import type { EncodeOptions, Tokenizer } from "./tokenizer.js";

/** One token of a text. */
export interface ShownToken {
  readonly id: number;
  readonly bytes: Uint8Array;
  /** Its bytes as text, with symbols for white space and unprintable characters. */
  readonly label: string;
  readonly special: boolean;
}

/** Encodes a text and labels its tokens. */
export function showTokens(tokenizer: Tokenizer, text: string, options: EncodeOptions = {}): ShownToken[] {
  const specialIds = new Set(tokenizer.special.values());
  return Array.from(tokenizer.encode(text, options), (id) => {
    const bytes = tokenizer.tokenBytes(id);
    return { id, bytes, label: labelOf(bytes), special: specialIds.has(id) };
  });
}

/** Formats bytes in hexadecimal: `e7 8c ab`. */
export function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function labelOf(bytes: Uint8Array): string {
  try {
    return visible(strict.decode(bytes));
  } catch {
    // The token contains part of a character.
    return `⟨${hexBytes(bytes)}⟩`;
  }
}

function visible(text: string): string {
  return text
    .replaceAll(" ", "·")
    .replaceAll("\r", "␍")
    .replaceAll("\n", "⏎")
    .replaceAll("\t", "⇥")
    .replaceAll(
      /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
      (c) => `⟨U+${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}⟩`,
    );
}

const COLOURS = [153, 157, 229, 218, 183] as const;

/** Formats tokens for a terminal, in colour or separated by bars. A token with a line break ends the line. */
export function tokensAsText(tokens: readonly ShownToken[], colour: boolean): string {
  let out = "";
  tokens.forEach(({ label, special }, index) => {
    const background = special ? 209 : COLOURS[index % COLOURS.length];
    out += colour
      ? `\u001b[48;5;${background}m\u001b[38;5;16m${label}\u001b[0m`
      : `${index > 0 && !out.endsWith("\n") ? "|" : ""}${label}`;
    if (label.includes("⏎")) out += "\n";
  });
  return out.endsWith("\n") ? out.slice(0, -1) : out;
}

/** Rows of the tables of frequent and of long tokens. */
const MOST_ROWS = 20;

/** Builds an HTML page: hovering shows id and bytes, clicking marks all tokens with that id; lists frequent and long tokens. */
export function tokensAsHtml(tokens: readonly ShownToken[], title: string): string {
  const bytes = tokens.reduce((sum, token) => sum + token.bytes.length, 0);
  const spans = tokens.map(({ id, bytes: own, label, special }, index) => {
    const kind = special ? "special" : `c${index % COLOURS.length}`;
    const breaks = label.includes("⏎") ? "<br>" : "";
    return `<span class="${kind}" data-id="${id}" title="${id} · ${hexBytes(own)}">${escapeHtml(label)}</span>${breaks}`;
  });
  const counts = new Map<number, number>();
  const byId = new Map<number, ShownToken>();
  for (const token of tokens) {
    counts.set(token.id, (counts.get(token.id) ?? 0) + 1);
    byId.set(token.id, token);
  }
  const rows = (ids: readonly number[]) =>
    ids.slice(0, MOST_ROWS).map((id) => {
      const { label, bytes: own } = byId.get(id) as ShownToken;
      return [label, String(id), count(counts.get(id)), count(own.length)];
    });
  const columns = [{ name: "token", kind: "text" as const }, { name: "id" }, { name: "count" }, { name: "bytes" }];
  const ids = [...byId.keys()];
  const frequent = [...ids].sort((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0) || a - b);
  const length = (id: number) => byId.get(id)?.bytes.length ?? 0;
  const longest = [...ids].sort((a, b) => length(b) - length(a) || a - b);
  const part = (name: string, order: readonly number[]) =>
    `<div><h3>${name}</h3>${table({ label: name, columns, rows: rows(order) })}</div>`;
  const perToken = tokens.length === 0 ? "" : ` · ${(bytes / tokens.length).toFixed(2)} bytes per token`;
  return page({
    title,
    subtitle: `${count(tokens.length)} tokens, ${count(ids.length)} distinct · ${count(bytes)} bytes${perToken}`,
    sections: [
      `<section><p class="tokens" tabindex="0">${spans.join("")}</p><p class="small" id="token" aria-live="polite">Click a token to mark all tokens with the same id.</p></section>`,
      `<section><div class="columns">${part("Most frequent", frequent)}${part("Longest", longest)}</div></section>`,
    ],
    scripts: [TOKEN_SCRIPT],
  });
}

const TOKEN_SCRIPT = `const box = document.querySelector(".tokens"), note = document.getElementById("token");
let marked = null;
box.addEventListener("click", ({ target }) => {
  const { id } = target.dataset;
  if (id === undefined) return;
  marked = marked === id ? null : id;
  let count = 0;
  for (const span of box.querySelectorAll("span")) if (span.classList.toggle("same", span.dataset.id === marked)) count++;
  note.textContent = marked === null ? "" : "token " + target.title + ": " + count + " in this text";
});`;
