/** @file Escapes text for HTML. All other functions of this folder take text and return HTML. */

/** Escapes text for HTML and for quoted attributes. */
export function escapeHtml(text: unknown): string {
  return String(text).replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

/** Escapes text of a document or model. Control characters become U+FFFD, and runs of U+FFFD are muted. */
export function textHtml(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are the ones replaced
  const visible = text.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "\ufffd");
  return escapeHtml(visible).replace(/\ufffd+/g, (run) => `<span class="muted">${run}</span>`);
}

/** Parts of a text to mark: `[start, end)` in UTF-16 units, ascending, without overlap. */
export type Spans = readonly (readonly [start: number, end: number])[];

/** Escapes a text and marks the given spans. */
export function markedHtml(text: string, spans: Spans): string {
  let html = "";
  let at = 0;
  for (const [start, end] of spans) {
    html += `${textHtml(text.slice(at, start))}<mark>${textHtml(text.slice(start, end))}</mark>`;
    at = end;
  }
  return html + textHtml(text.slice(at));
}

/** Returns all matches of a global expression as spans. */
export function spansOf(text: string, pattern: RegExp): Spans {
  return [...text.matchAll(pattern)]
    .filter(([match]) => match !== "")
    .map((match) => [match.index, match.index + match[0].length] as const);
}

/** A preformatted text of eight lines that scrolls; with scripts, a button expands it. `html` must already be escaped. */
export const excerpt = (html: string) => `<pre class="excerpt" tabindex="0">${html}</pre>`;

/** Script that adds a "more" button to long excerpts; once per page. */
export const MORE_SCRIPT = `for (const box of document.querySelectorAll(".excerpt")) {
  const button = document.createElement("button");
  button.textContent = "more";
  const fit = () => { if (box.clientHeight > 0) button.hidden = box.scrollHeight <= box.clientHeight + 2 && !box.classList.contains("open"); };
  button.onclick = () => { button.textContent = box.classList.toggle("open") ? "less" : "more"; };
  box.after(button);
  new ResizeObserver(fit).observe(box);
}`;
