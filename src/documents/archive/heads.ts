/** @file The heads of archive records: WARC's lines of fields and ARC's one line. Everything here is linear in what it reads. */

export interface Head {
  readonly format: "warc" | "arc";
  readonly type: string;
  readonly fields: ReadonlyMap<string, string>;
  /** Bytes of the head, its empty line among them. */
  readonly length: number;
  /** Bytes of the content as the head gives them; null where it gives no number. */
  readonly contentLength: number | null;
}

/** A record's head is far smaller; one that does not end within this is damage. */
export const LARGEST_HEAD = 64 * 1024;

/** How a record begins: WARC's version, or ARC's line of URL, address, date, type and length. */
export const RECORD_START = /^(WARC\/\d\.\d|\w[\w+.-]*:[^\n]* \S+ \d{8,14} \S+ )/;

/** The head at the start of `bytes`; null where there is none, `too large` where none ends within `LARGEST_HEAD`. */
export function parseHead(bytes: Buffer): Head | "too large" | null {
  const start = bytes.subarray(0, LARGEST_HEAD);
  return start.length >= 8 && start.toString("latin1", 0, 5) === "WARC/" ? parseWarcHead(start) : parseArcHead(start);
}

/** Where the next record begins at or after `from`; -1 where none does. ARC's lines count only where `arc` says so. */
export function nextHead(bytes: Buffer, from: number, arc: boolean): number {
  const warc = nextWarcHead(bytes, from);
  if (!arc) return warc;
  const end = warc < 0 ? bytes.length : warc;
  let at = from === 0 ? -1 : bytes.indexOf(10, from - 1);
  // Without a line end there is no further line; the one at the start is before `from`.
  if (from > 0 && at < 0) return warc;
  while (at < end) {
    // Most lines do not begin like an address, and are seen not to without making a string of them.
    if (isLetter(bytes[at + 1]) && parseArcHead(bytes.subarray(at + 1, at + 1 + LARGEST_HEAD)) !== null) return at + 1;
    at = bytes.indexOf(10, at + 1);
    if (at < 0) break;
  }
  return warc;
}

/** A writer that died leaves half a record, and what is appended later need not begin a line. */
function nextWarcHead(bytes: Buffer, from: number): number {
  for (let at = nextVersion(bytes, from); at >= 0; ) {
    // No head holds a version in a line of its own, so each byte is looked at once, however often one is repeated.
    const next = nextVersion(bytes.subarray(0, at + LARGEST_HEAD), at + 5);
    const head = parseWarcHead(bytes.subarray(at, next < 0 ? at + LARGEST_HEAD : next));
    if (head !== null && head !== "too large" && head.fields.has("warc-type")) return at;
    at = next < 0 ? nextVersion(bytes, at + 5) : next;
  }
  return -1;
}

/** Where `WARC/1.0` or the like ends a line at or after `from`; -1 where nowhere. */
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
    // A version in the middle is the next record's: this head has lost its end.
    if (first !== VERSION.test(line)) return null;
    if (line === "") return headOf(fields, at);
    if (/WARC\/\d\.\d{1,2}\s*$/.test(line)) versions += 1;
    const colon = line.indexOf(":");
    if (/^[ \t]/.test(line)) {
      if (name !== "") fields.set(name, `${fields.get(name) ?? ""} ${line.trim()}`);
    } else if (colon > 0) {
      name = line.slice(0, colon).trim().toLowerCase();
      // So does one in the middle of a line, where the type comes again.
      if (name === "warc-type" && versions > 1 && fields.has(name)) return null;
      if (!fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
    }
  }
}

function headOf(fields: Map<string, string>, length: number): Head {
  const uri = fields.get("warc-target-uri");
  // WARC 1.0's grammar put the address into <>, and some tools write it so.
  if (uri?.startsWith("<") && uri.endsWith(">")) fields.set("warc-target-uri", uri.slice(1, -1));
  const contentLength = lengthOf(fields.get("content-length") ?? "");
  return { format: "warc", type: (fields.get("warc-type") ?? "").toLowerCase(), fields, length, contentLength };
}

const lengthOf = (given: string) => (/^\d{1,15}$/.test(given) ? Number(given) : null);

/** UTF-8, or Latin-1 where it is not. */
function lineOf(bytes: Buffer, start: number, end: number): string {
  const stop = end > start && bytes[end - 1] === 13 ? end - 1 : end;
  const text = bytes.toString("utf8", start, stop);
  return text.includes("\ufffd") ? bytes.toString("latin1", start, stop) : text;
}

/**
 * One line: address, IP, date, type and length, in version 2 with more between the last two. The address may hold spaces,
 * and so may the type: the date, of 14 digits behind an IP, is what tells where they are.
 */
function parseArcHead(bytes: Buffer): Head | null {
  const end = bytes.indexOf(10);
  if (end < 0 || !isLetter(bytes[0])) return null;
  const line = lineOf(bytes, 0, end);
  if (!/^[a-z][\w+.-]*:/i.test(line)) return null;
  const words = line.trimEnd().split(" ");
  const dated = (date: RegExp, ip: RegExp) =>
    words.findIndex((word, i) => i >= 2 && i <= words.length - 3 && date.test(word) && ip.test(words[i - 1]));
  // Some writers put fractions of a second behind the 14 digits.
  const strict = dated(/^\d{14,17}$/, /^(?:\d+\.\d+\.\d+\.\d+|[\da-f]*:[\da-f:.]+|-)$/i);
  const at = strict >= 0 ? strict : dated(/^\d{8,14}$/, /./);
  if (at < 0) return null;
  const length = words[words.length - 1];
  // What is no number is a damaged length only where all else fits; else this is a line of text.
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

/** True where a line of ARC begins of which nothing is in doubt. */
export function isArcHead(bytes: Buffer): boolean {
  const head = parseArcHead(bytes.subarray(0, LARGEST_HEAD));
  return (
    head !== null &&
    head.contentLength !== null &&
    /^\w+:\/\/\S+ \S+ \d{14,17} /.test(bytes.toString("latin1", 0, 4096))
  );
}

/** yyyymmddhhmmss as ISO 8601 writes it. */
function arcDate(date: string): string {
  const [, year, month, day, rest] = /^(\d{4})(\d\d)(\d\d)(\d*)$/.exec(date) ?? [];
  const [hour, minute, second] = [0, 2, 4].map((i) => rest.slice(i, i + 2).padEnd(2, "0"));
  return `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
}
