/** @file Code as the page shows it: its lines, its spaces, its language. */
import { scriptText } from "./superscript.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

/** Names that are no language but how a highlighter is told to work. */
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

/** The characters of a code block. Line numbers beside the code and buttons over it are no part of it. */
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
      // A line of its own, as highlighters that wrap each line in a div or a table row make it.
      const row = name === "td" || name === "th";
      if (!row && parts.length > 0 && !parts[parts.length - 1].endsWith("\n")) parts.push("\n");
      collect(child, parts);
      if (!row && parts.length > 0 && !parts[parts.length - 1].endsWith("\n")) parts.push("\n");
    } else collect(child, parts);
  }
}

const LINE_NUMBER =
  /(?:^|[\s_-])(?:line-?numbers?(?:-rows)?|linenos?|linenodiv|gutter|lineno|ln-num|blob-num|hljs-ln-numbers|rouge-gutter)(?:$|[\s_-])/i;

/** True for the column of numbers beside code. */
export const isLineNumber = (node: Node): boolean => node.className !== "" && LINE_NUMBER.test(node.className);

/** The language that the block, a parent or its only child names: `language-js`, `lang-js`, `highlight-source-js`; "" if none. */
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
