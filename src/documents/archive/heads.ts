/** @file Parses the heads of archive records: WARC's header fields and ARC's single line. All functions take linear time. */

export interface Head {
  readonly format: "warc" | "arc";
  readonly type: string;
  readonly fields: ReadonlyMap<string, string>;
  /** Bytes of the head, including its empty line. */
  readonly length: number;
  /** Bytes of the content, according to the head; null if it has no valid number. */
  readonly contentLength: number | null;
}

/** Real heads are far smaller; one that does not end within this is damaged. */
export const LARGEST_HEAD = 64 * 1024;

/** How a record begins: WARC's version, or ARC's line of URL, IP address, date, type and length. */
export const RECORD_START = /^(WARC\/\d\.\d|\w[\w+.-]*:[^\n]* \S+ \d{8,14} \S+ )/;

/** Parses the head at the start of `bytes`; null if there is none, `too large` if it does not end within `LARGEST_HEAD`. */
export function parseHead(bytes: Buffer): Head | "too large" | null {
  const start = bytes.subarray(0, LARGEST_HEAD);
  return start.length >= 8 && start.toString("latin1", 0, 5) === "WARC/" ? parseWarcHead(start) : parseArcHead(start);
}

/**
 * Finds where the next record begins at or after `from`; -1 if none does.
 * @param arc whether ARC heads count as well
 */
export function nextHead(bytes: Buffer, from: number, arc: boolean): number {
  const warc = nextWarcHead(bytes, from);
  if (!arc) return warc;
  const end = warc < 0 ? bytes.length : warc;
  let at = from === 0 ? -1 : bytes.indexOf(10, from - 1);
  // Without a line end there is no further line, and the current one starts before `from`.
  if (from > 0 && at < 0) return warc;
  while (at < end) {
    // Most lines do not begin like a URL; checking the first byte avoids making a string of each.
    if (isLetter(bytes[at + 1]) && parseArcHead(bytes.subarray(at + 1, at + 1 + LARGEST_HEAD)) !== null) return at + 1;
    at = bytes.indexOf(10, at + 1);
    if (at < 0) break;
  }
  return warc;
}

/** A writer that was killed leaves half a record, so a record appended later may begin in the middle of a line. */
function nextWarcHead(bytes: Buffer, from: number): number {
  for (let at = nextVersion(bytes, from); at >= 0; ) {
    // No head contains a version on its own line, so each byte is read once, however many versions there are.
    const next = nextVersion(bytes.subarray(0, at + LARGEST_HEAD), at + 5);
    const head = parseWarcHead(bytes.subarray(at, next < 0 ? at + LARGEST_HEAD : next));
    if (head !== null && head !== "too large" && head.fields.has("warc-type")) return at;
    at = next < 0 ? nextVersion(bytes, at + 5) : next;
  }
  return -1;
}

/** Finds a version such as `WARC/1.0` that ends a line, at or after `from`; -1 if there is none. */
function nextVersion(bytes: Buffer, from: number): number {
  let at = bytes.indexOf("WARC/", from);
  while (at >= 0 && !/^WARC\/\d\.\d{1,2} *\r?\n/.test(bytes.toString("latin1", at, at + 16)))
    at = bytes.indexOf("WARC/", at + 5);
  return at;
}

const isLetter = (byte: number | undefined) => byte !== undefined && (byte | 32) >= 97 && (byte | 32) <= 122;
const VERSION = /^WARC\/\d\.\d{1,2}\s*$/;

function parseWarcHead(bytes: Buffer): Head | "too large" | null {
  const fields = new Map<string, string>();
  let name = "";
  let versions = 0;
  for (let at = 0, first = true; ; first = false) {
    const end = bytes.indexOf(10, at);
    if (end < 0) return bytes.length >= LARGEST_HEAD ? "too large" : null;
    const line = lineOf(bytes, at, end);
    at = end + 1;
    // A version on a later line belongs to the next record: the end of this head is missing.
    if (first !== VERSION.test(line)) return null;
    if (line === "") return headOf(fields, at);
    if (/WARC\/\d\.\d{1,2}\s*$/.test(line)) versions += 1;
    const colon = line.indexOf(":");
    if (/^[ \t]/.test(line)) {
      if (name !== "") fields.set(name, `${fields.get(name) ?? ""} ${line.trim()}`);
    } else if (colon > 0) {
      name = line.slice(0, colon).trim().toLowerCase();
      // The same holds for a version inside a line, if a second type follows.
      if (name === "warc-type" && versions > 1 && fields.has(name)) return null;
      if (!fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
    }
  }
}

function headOf(fields: Map<string, string>, length: number): Head {
  const uri = fields.get("warc-target-uri");
  // WARC 1.0's grammar put the URL in <>, and some tools still write it that way.
  if (uri?.startsWith("<") && uri.endsWith(">")) fields.set("warc-target-uri", uri.slice(1, -1));
  const contentLength = lengthOf(fields.get("content-length") ?? "");
  return { format: "warc", type: (fields.get("warc-type") ?? "").toLowerCase(), fields, length, contentLength };
}

const lengthOf = (given: string) => (/^\d{1,15}$/.test(given) ? Number(given) : null);

/** Decodes a line as UTF-8, or as Latin-1 if it is not valid UTF-8. */
function lineOf(bytes: Buffer, start: number, end: number): string {
  const stop = end > start && bytes[end - 1] === 13 ? end - 1 : end;
  const text = bytes.toString("utf8", start, stop);
  return text.includes("\ufffd") ? bytes.toString("latin1", start, stop) : text;
}

/**
 * Parses one line: URL, IP, date, type and length; version 2 has more fields between the last two. URL and type may
 * contain spaces. The date (14 digits after an IP) separates them.
 */
function parseArcHead(bytes: Buffer): Head | null {
  const end = bytes.indexOf(10);
  if (end < 0 || !isLetter(bytes[0])) return null;
  const line = lineOf(bytes, 0, end);
  if (!/^[a-z][\w+.-]*:/i.test(line)) return null;
  const words = line.trimEnd().split(" ");
  const dated = (date: RegExp, ip: RegExp) =>
    words.findIndex((word, i) => i >= 2 && i <= words.length - 3 && date.test(word) && ip.test(words[i - 1]));
  // Some writers append fractions of a second to the 14 digits.
  const strict = dated(/^\d{14,17}$/, /^(?:\d+\.\d+\.\d+\.\d+|[\da-f]*:[\da-f:.]+|-)$/i);
  const at = strict >= 0 ? strict : dated(/^\d{8,14}$/, /./);
  if (at < 0) return null;
  const length = words[words.length - 1];
  // If the last word is not a number but everything else fits, the line is a head with a damaged length; otherwise it
  // is text.
  if (!/^\d+$/.test(length) && strict < 0) return null;
  const url = words.slice(0, at - 1).join(" ");
  const contentType = words.length - at === 8 ? words[at + 1] : words.slice(at + 1, -1).join(" ");
  const fields = new Map([
    ["warc-target-uri", url],
    ["warc-ip-address", words[at - 1]],
    ["warc-date", arcDate(words[at])],
    ["content-type", contentType],
    ["content-length", length],
  ]);
  const type = url.startsWith("filedesc:") ? "filedesc" : "response";
  return { format: "arc", type, fields, length: end + 1, contentLength: lengthOf(length) };
}

/** True if the bytes begin with an ARC head that matches the strict form. */
export function isArcHead(bytes: Buffer): boolean {
  const head = parseArcHead(bytes.subarray(0, LARGEST_HEAD));
  return (
    head !== null &&
    head.contentLength !== null &&
    /^\w+:\/\/\S+ \S+ \d{14,17} /.test(bytes.toString("latin1", 0, 4096))
  );
}

/** Converts yyyymmddhhmmss to ISO 8601. */
function arcDate(date: string): string {
  const [, year, month, day, rest] = /^(\d{4})(\d\d)(\d\d)(\d*)$/.exec(date) ?? [];
  const [hour, minute, second] = [0, 2, 4].map((i) => rest.slice(i, i + 2).padEnd(2, "0"));
  return `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
}
