/**
 * @file Text embedded in a page as data for its scripts: the posts of a Discourse topic, an article's body in JSON-LD. It is
 * used only if the page's own markup contains almost no text.
 */
import type { Entity } from "./linked-data.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

/** Maximum characters of data; longer data is not parsed. */
const LONGEST = 8_000_000;

/** Returns the embedded content as HTML, or "" if there is none in a known form. */
export function embeddedContent(root: Node, entities: readonly Entity[]): string {
  const preloaded = find(root, "data-preloaded");
  const posts = preloaded === undefined ? "" : discoursePosts(preloaded);
  if (posts !== "") return posts;
  let longest = "";
  for (const { body } of entities) if (body.length > longest.length) longest = body;
  if (longest.length < 200) return "";
  return /<(?:p|br|div|li)\b/i.test(longest)
    ? longest
    : longest
        .split(/\n+/)
        .map((line) => `<p>${escapeHtml(line)}</p>`)
        .join("\n");
}

function find(node: Node, attribute: string): string | undefined {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT) continue;
    const value = child.attributes?.get(attribute) ?? (child.first === null ? undefined : find(child, attribute));
    if (value !== undefined) return value;
  }
  return undefined;
}

const escapeHtml = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

function parseObject(text: unknown): Readonly<Record<string, unknown>> {
  if (typeof text !== "string" || text.length > LONGEST) return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

/** Returns the posts of a Discourse topic, each with author and day, from the JSON in `data-preloaded`. */
function discoursePosts(data: string): string {
  const stores = parseObject(data);
  const pieces: string[] = [];
  for (const [key, value] of Object.entries(stores)) {
    if (!key.startsWith("topic_")) continue;
    const posts = record(parseObject(value).post_stream).posts;
    for (const post of Array.isArray(posts) ? posts : []) {
      const { cooked, username, created_at: created } = record(post);
      if (typeof cooked !== "string") continue;
      pieces.push(
        `<article><p>${typeof username === "string" ? escapeHtml(username) : ""}</p><p>${day(created)}</p>${cooked}</article>`,
      );
    }
  }
  return pieces.join("\n");
}

const MONTHS = "January February March April May June July August September October November December".split(" ");

/** Formats `2024-11-08T19:33:00Z` as `November 8, 2024`. */
function day(time: unknown): string {
  const found = typeof time === "string" ? /^(\d{4})-(\d\d)-(\d\d)/.exec(time) : null;
  if (found === null) return "";
  const month = MONTHS[Number(found[2]) - 1];
  return month === undefined ? "" : `${month} ${Number(found[3])}, ${found[1]}`;
}
