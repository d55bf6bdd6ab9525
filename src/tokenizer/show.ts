/** @file A text's tokens to look at: coloured for a terminal, or as a page. */
import type { EncodeOptions, Tokenizer } from "./tokenizer.js";

/** One token of a text. */
export interface ShownToken {
  readonly id: number;
  readonly bytes: Uint8Array;
  /** Its bytes as text, white space and what cannot be shown made visible. */
  readonly label: string;
  readonly special: boolean;
}

/** The tokens of a text, ready to show. */
export function showTokens(tokenizer: Tokenizer, text: string, options: EncodeOptions = {}): ShownToken[] {
  const specialIds = new Set(tokenizer.special.values());
  return Array.from(tokenizer.encode(text, options), (id) => {
    const bytes = tokenizer.tokenBytes(id);
    return { id, bytes, label: labelOf(bytes), special: specialIds.has(id) };
  });
}

/** Bytes in hexadecimal: `e7 8c ab`. */
export function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function labelOf(bytes: Uint8Array): string {
  try {
    return visible(strict.decode(bytes));
  } catch {
    // A part of a character.
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

/** The tokens in colour for a terminal, or between bars without; a token with a line break ends its line. */
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

/** A self-contained page of the tokens; each shows its id and bytes when pointed at. */
export function tokensAsHtml(tokens: readonly ShownToken[], title: string): string {
  const bytes = tokens.reduce((sum, token) => sum + token.bytes.length, 0);
  const spans = tokens.map(({ id, bytes: own, label, special }, index) => {
    const kind = special ? "special" : `c${index % COLOURS.length}`;
    const breaks = label.includes("⏎") ? "<br>" : "";
    return `<span class="${kind}" title="${id} · ${hexBytes(own)}">${escapeHtml(label)}</span>${breaks}`;
  });
  const perToken = tokens.length === 0 ? "" : ` · ${(bytes / tokens.length).toFixed(2)} bytes a token`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>
body { font: 16px/1.9 ui-monospace, monospace; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #111; background: #fff }
h1 { font: 600 1.1rem system-ui, sans-serif } p { font: .9rem system-ui, sans-serif; color: #555 }
main span { padding: .15em 0; border-radius: 3px; overflow-wrap: anywhere }
main span:hover { outline: 2px solid #111 }
.c0 { background: #cfe8ff } .c1 { background: #d3f5d0 } .c2 { background: #fdf3b8 } .c3 { background: #ffd9e6 } .c4 { background: #e6dcff }
.special { background: #ff9d66; font-weight: 600 }
</style>
<h1>${escapeHtml(title)}</h1>
<p>${tokens.length} tokens · ${bytes} bytes${perToken}</p>
<main>${spans.join("")}</main>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
