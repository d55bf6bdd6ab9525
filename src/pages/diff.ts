/** @file Shows two texts side by side with their differences marked, word by word. */
import { excerpt, textHtml } from "./html.js";

/** Splits a text into words, each with the white space after it. */
const pieces = (text: string): string[] => text.match(/\S+\s*|\s+/g) ?? [];

/** Excerpts have about 200 words. Above this limit the comparison's table would grow too large. */
const MOST_PIECES = 2000;

/**
 * Returns both texts as HTML. Words only in the left are in `<del>`, words only in the right in `<ins>`. They are found by the
 * longest common subsequence of words (Hunt and McIlroy 1976), after removing the common beginning and end.
 */
export function diffHtml(left: string, right: string): { readonly left: string; readonly right: string } {
  const [a, b] = [pieces(left).slice(0, MOST_PIECES), pieces(right).slice(0, MOST_PIECES)];
  const same = (i: number, j: number) => a[i].trimEnd() === b[j].trimEnd();
  let start = 0;
  while (start < a.length && start < b.length && same(start, start)) start += 1;
  let [endA, endB] = [a.length, b.length];
  while (endA > start && endB > start && same(endA - 1, endB - 1)) {
    endA -= 1;
    endB -= 1;
  }
  // lengths[i][j]: the longest common subsequence of a[start + i …] and b[start + j …].
  const [n, m] = [endA - start, endB - start];
  const lengths = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1));
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      lengths[i][j] = same(start + i, start + j)
        ? lengths[i + 1][j + 1] + 1
        : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const keepsA = new Uint8Array(a.length).fill(1);
  const keepsB = new Uint8Array(b.length).fill(1);
  for (let [i, j] = [0, 0]; i < n || j < m; ) {
    if (i < n && j < m && same(start + i, start + j)) {
      i += 1;
      j += 1;
    } else if (j >= m || (i < n && lengths[i + 1][j] >= lengths[i][j + 1])) keepsA[start + i++] = 0;
    else keepsB[start + j++] = 0;
  }
  return { left: marked(a, keepsA, "del"), right: marked(b, keepsB, "ins") };
}

function marked(parts: readonly string[], keeps: Uint8Array, tag: "del" | "ins"): string {
  let html = "";
  for (let i = 0; i < parts.length; ) {
    let end = i;
    while (end < parts.length && keeps[end] === keeps[i]) end += 1;
    const text = textHtml(parts.slice(i, end).join(""));
    html += keeps[i] ? text : `<${tag}>${text}</${tag}>`;
    i = end;
  }
  return html;
}

/** Shows two titled texts side by side with their differences marked. */
export function sideBySide(
  left: { readonly title: string; readonly text: string },
  right: { readonly title: string; readonly text: string },
): string {
  const html = diffHtml(left.text, right.text);
  const side = (title: string, body: string) =>
    `<div><p class="small">${textHtml(title)}</p>${excerpt(body === "" ? '<span class="muted">(nothing)</span>' : body)}</div>`;
  return `<div class="pair">${side(left.title, html.left)}${side(right.title, html.right)}</div>`;
}
