/** @file Code blocks: their text with its line breaks and spaces, and their language. */
import { scriptText } from "./superscript.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

/** Values of a language class that configure the highlighter and name no language. */
const NO_LANGUAGE = new Set([
  "none",
  "nohighlight",
  "plaintext",
  "plain",
  "text",
  "txt",
  "auto",
  "default",
  "undefined",
]);

/** Returns the text of a code block, without the line numbers and buttons around it. */
export function codeOf(node: Node): string {
  const parts: string[] = [];
  collect(node, parts);
  return parts
    .join("")
    .replace(/\r\n?/g, "\n")
    .replace(/\u00a0/g, " ")
    .replace(/\u200b|\ufeff|\0/g, "");
}

function collect(node: Node, parts: string[]): void {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT) {
      parts.push(child.text);
      continue;
    }
    const { name } = child.tag;
    if (name === "br") parts.push("\n");
    else if (name === "sup" || name === "sub") {
      const raised = scriptText(child, parts[parts.length - 1] ?? "");
      if (raised === undefined) collect(child, parts);
      else parts.push(raised);
    } else if (name === "button" || name === "script" || name === "textarea" || isLineNumber(child)) continue;
    else if (child.tag.block) {
      // Highlighters that wrap each line in a div or a table row: the block is one line.
      const row = name === "td" || name === "th";
      if (!row && parts.length > 0 && !parts[parts.length - 1].endsWith("\n")) parts.push("\n");
      collect(child, parts);
      if (!row && parts.length > 0 && !parts[parts.length - 1].endsWith("\n")) parts.push("\n");
    } else collect(child, parts);
  }
}

const LINE_NUMBER =
  /(?:^|[\s_-])(?:line-?numbers?(?:-rows)?|linenos?|linenodiv|gutter|lineno|ln-num|blob-num|hljs-ln-numbers|rouge-gutter)(?:$|[\s_-])/i;

/** Whether the node is a line number, or the column of line numbers beside code. */
export const isLineNumber = (node: Node): boolean => node.className !== "" && LINE_NUMBER.test(node.className);

/**
 * Returns the language named by the block, its inner `code`, its parent or grandparent; "" if none names one. Known classes
 * are `language-js`, `lang-js`, `highlight-source-js` and the like.
 */
export function languageOf(node: Node): string {
  let inner: Node | null = node.first;
  while (inner !== null && inner.tag.name !== "code") inner = inner.next;
  for (const place of [node, inner, node.parent, node.parent?.parent ?? null]) {
    if (place === null) continue;
    const given = place.get("data-lang") || place.get("data-language") || named(place.className);
    const language = given.trim().toLowerCase();
    if (/^[a-z0-9+#.-]{1,20}$/.test(language) && !NO_LANGUAGE.has(language)) return language;
  }
  return "";
}

function named(className: string): string {
  if (className === "") return "";
  const found = /(?:^|\s)(?:language|lang|highlight-source|highlight-text|brush)[-:]\s*([\w+#.-]+)/i.exec(className);
  return found?.[1] ?? "";
}
