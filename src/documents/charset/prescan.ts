/**
 * @file Finds the encoding that a page declares, before decoding it.
 * https://html.spec.whatwg.org/#prescan-a-byte-stream-to-determine-its-encoding
 */
import { encodingOf } from "./decode.js";

/** Bytes that the standard scans. A later `<meta>` counts too, as it does in a browser once the parser reaches it. */
const SCANNED = 1024;
/** Real pages have some tens. The limit exists because looking up an unknown charset is slow. */
const MOST_METAS = 2000;
/** Elements that contain only text. After the scanned bytes, a `<meta>` inside them is ignored, as in a browser. */
const RAW = /^(?:script|style|textarea|title|xmp|iframe|noembed|noframes)$/;

/**
 * Returns the declared encoding; undefined if no valid one is declared. A declared UTF-16 becomes UTF-8: in real UTF-16
 * the declaration could not be read.
 * @param page the page decoded as Latin-1
 */
export function declaredEncoding(page: string): string | undefined {
  if (page.startsWith("<\0?\0x\0")) return "utf-16le";
  if (page.startsWith("\0<\0?\0x")) return "utf-16be";
  let rawEnd = 0;
  let metas = 0;
  for (let at = page.indexOf("<"); at >= 0; at = page.indexOf("<", at)) {
    if (at >= SCANNED && at < rawEnd) at = rawEnd;
    if (page.startsWith("<!--", at)) {
      // `<!-->` is a whole comment: its opening dashes also close it.
      const end = page.indexOf("-->", at + 2);
      if (end < 0) break;
      at = end + 3;
    } else if (isTag(page, at)) {
      const isEnd = page[at + 1] === "/";
      const nameEnd = endOf(page, at + 1, NAME_END);
      const name = page.slice(at + 1 + Number(isEnd), Math.min(nameEnd, at + 16)).toLowerCase();
      const attributes = new Map<string, string>();
      at = readAttributes(page, nameEnd, attributes);
      if (name === "meta" && !isEnd && page[nameEnd] !== ">") {
        const found = encodingOfMeta(attributes);
        if (found !== undefined) return found;
        if (++metas > MOST_METAS) break;
      } else if (!isEnd && at > rawEnd && RAW.test(name)) rawEnd = closing(page, at, name);
    } else if (/[!/?]/.test(page[at + 1] ?? "")) {
      const end = page.indexOf(">", at);
      if (end < 0) break;
      at = end + 1;
    } else at += 1;
  }
  return xmlEncoding(page);
}

const isTag = (page: string, at: number) => /^<\/?[a-z]/i.test(page.slice(at, at + 3));

function endOf(page: string, from: number, pattern: RegExp): number {
  pattern.lastIndex = from;
  return pattern.exec(page)?.index ?? page.length;
}
const NAME_END = /[\t\n\f\r >]/g;
const NOT_BLANK = /[^\t\n\f\r /]/g;
const ATTRIBUTE_END = /[\t\n\f\r />=]/g;
const VALUE_START = /[^\t\n\f\r ]/g;
const VALUE_END = /[\t\n\f\r >]/g;

/** Reads a tag's attributes in lower case, the first of each name, and returns where the tag ends. */
function readAttributes(page: string, from: number, attributes: Map<string, string>): number {
  for (let at = from; ; ) {
    at = endOf(page, at, NOT_BLANK);
    if (at >= page.length) return at;
    if (page[at] === ">") return at + 1;
    // A name may begin with =.
    let end = endOf(page, at + 1, ATTRIBUTE_END);
    const name = page.slice(at, end).toLowerCase();
    let value = "";
    at = endOf(page, end, VALUE_START);
    if (page[at] === "=") {
      at = endOf(page, at + 1, VALUE_START);
      const quote = page[at];
      if (quote === '"' || quote === "'") {
        end = page.indexOf(quote, at + 1);
        if (end < 0) return page.length;
        value = page.slice(at + 1, end);
        at = end + 1;
      } else {
        end = endOf(page, at, VALUE_END);
        value = page.slice(at, end);
        at = end;
      }
    }
    if (!attributes.has(name)) attributes.set(name, value.toLowerCase());
  }
}

function encodingOfMeta(attributes: ReadonlyMap<string, string>): string | undefined {
  const charset = attributes.get("charset");
  if (charset !== undefined) return asDeclared(charset);
  if (attributes.get("http-equiv") !== "content-type") return undefined;
  return asDeclared(charsetIn(attributes.get("content") ?? ""));
}

/** https://html.spec.whatwg.org/#algorithm-for-extracting-a-character-encoding-from-a-meta-element */
export function charsetIn(content: string): string | undefined {
  const found = /charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^"'\t\n\f\r ;][^\t\n\f\r ;]*))/i.exec(
    content,
  );
  return found?.[1] ?? found?.[2] ?? found?.[3];
}

/** Returns the encoding of a declared label. A page whose `<meta>` can be read is not UTF-16. */
function asDeclared(label: string | undefined): string | undefined {
  if (label?.trim() === "x-user-defined") return "windows-1252";
  const encoding = encodingOf(label);
  return encoding?.startsWith("utf-16") ? "utf-8" : encoding;
}

/** https://html.spec.whatwg.org/#get-an-xml-encoding; white space before the declaration is allowed. */
function xmlEncoding(page: string): string | undefined {
  const declaration = /^\s*<\?xml([^>]*)>/.exec(page.slice(0, SCANNED))?.[1];
  return asDeclared(
    /encoding\s*=\s*(?:"([^"]*)"|'([^']*)')/
      .exec(declaration ?? "")
      ?.slice(1)
      .find((label) => label !== undefined),
  );
}

/** Returns where a raw text element ends. */
function closing(page: string, from: number, name: string): number {
  const end = new RegExp(`</${name}[\\s/>]`, "gi");
  end.lastIndex = from;
  return end.exec(page)?.index ?? page.length;
}
