/**
 * @file Finds public IP addresses. Private, reserved and example ranges identify no one and are skipped. Four dotted numbers
 * may also be a version or a heading's number; the text around them decides.
 */
import { BlockList, isIPv6 } from "node:net";
import type { Finder, PersonalMatch } from "./match.js";
import { textBefore } from "./numbers.js";

/**
 * A letter or digit may come right before the address if it ends a percent-encoded character. tcpdump writes the port as a
 * fifth number.
 */
const V4 =
  /(?=\d)(?:(?<![A-Za-z0-9.])|(?<=%[0-9A-Fa-f]{2}))(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}(?![A-Za-z0-9]|\.\d(?!\d{0,4}(?: > |: (?:Flags|UDP|ICMP|\d+[+*]? ))))/g;
/** Two colons with at most one group between them; the text around them is then extended and parsed. */
const V6 = /:[0-9a-f]{0,4}:/gi;
/** The longest address has 39 characters; one more on either side for a colon. */
const LONGEST_V6 = 41;

export const findIps: Finder = (text) => [...findV4(text), ...findV6(text)];

function findV4(text: string): PersonalMatch[] {
  const matches: PersonalMatch[] = [];
  /** End of the previous match and whether it was a version: items of one list are of the same kind. */
  let last = { end: -1, isVersion: false };
  for (const { 0: found, index } of text.matchAll(V4)) {
    const end = index + found.length;
    const listed = last.end >= 0 && index - last.end < 16 && /^(?:\W|and|or|to)*$/.test(text.slice(last.end, index));
    const isVersion = listed ? last.isVersion : isNumbering(text, index, found);
    last = { end, isVersion };
    if (isVersion || special.check(found, "ipv4")) continue;
    // An IPv4 address in IPv6 notation: include the prefix.
    const prefix = /(?<![0-9a-f:])(?:::(?:ffff:(?:0:)?)?|64:ff9b::)$/i.exec(textBefore(text, index, 16));
    matches.push({ type: "ip", start: index - (prefix?.[0].length ?? 0), end });
  }
  return matches;
}

/** A word that announces an address. */
const NETWORK_WORD =
  /(?:^|[^A-Za-z])(?:[a-z_-]*ip(?:v4)?s?|[a-z_-]*addr(?:ess(?:es)?)?|[a-z_-]*hosts?|hostname|src|dst|source|destination|from|to|by|at|via|for|clients?|peers?|remote|[a-z]*servers?|services?|gateway|router|proxy|dns|resolvers?|ping|route|traceroute|ssh|telnet|curl|wget|nmap|dig|whois|login|logins?|connect(?:s|ed|ion)?|nodes?|listen|bind|blocked|banned|allow|deny|attackers?|visitors?|users?|forwarded|x-forwarded-for|x-real-ip|spf|subnet|network|range)$/i;
/** Common words, which indicate neither an address nor a version. */
const COMMON_WORD =
  /(?:^|[^A-Za-z])(?:and|or|is|was|are|were|use|uses|try|with|the|of|in|on|that|see|be|as|then|und|et|y)$/i;
const VERSION_WORD =
  /(?:version(?:s|ing)?|(?:^|[^a-z])(?:v|ver|firmware|kernel|release|build|revision|rev))["'<>()[\]\s:=_.-]{0,4}(?:(?:number|no|is|of)[\s.:]{0,3})?["']?$/i;
/** Words that often precede a section or version number, but may also precede an address. */
const PART_WORD =
  /(?:^|[^A-Za-z])(?:sections?|sect?|chapters?|clauses?|articles?|figures?|fig|tables?|paragraphs?|para|appendix|annex|item|rule|step|part|exercise|updates?|drivers?|patch|sdk|api|schema|edition|§)\.? ?$/i;

/** Whether four dotted numbers are a version, section number or the like, and not an address. */
function isNumbering(text: string, index: number, found: string): boolean {
  const front = textBefore(text, index);
  const rest = text.slice(index + found.length, index + found.length + 24);
  const octets = found.split(".").map(Number);
  const zeros = octets.filter((octet) => octet === 0).length;
  const small = octets.every((octet) => octet < 32);
  /** Whether the numbers are typical of a version: all small, or with zeros. */
  const plain = small || zeros > 1 || (octets[0] < 32 && zeros > 0);
  if (VERSION_WORD.test(front)) return true;
  // 1.2.3.4-1ubuntu2, 1.2.3.4-rc1; but not a range of addresses or of last octets.
  if (/^[-+~]?(?:alpha|beta|rc|dev|snapshot|final|ga)\b/i.test(rest)) return true;
  if (/^-\d/.test(rest) && !/^-\d{1,3}(?:\.\d{1,3}){3}(?!\w)/.test(rest))
    return plain || !/^-\d{1,3}(?![\w.])/.test(rest);
  if (/<$/.test(front) && rest.startsWith(">")) return false;
  if (/^\.\d+(?: >|: [FUI\d])/.test(rest)) return false;
  if (/(?:[=<>~!^]=|[<>~^]) ?$/.test(front)) return true;
  // Followed by log fields, a network mask, a port or a range, or preceded by `://` or `@`: an address.
  if (/^(?: - |\/\d{1,2}(?!\d)|:\d{1,5}(?!\d)|-\d)/.test(rest) || /(?::\/\/|@)$/.test(front)) return false;
  const word = /(\S*?)["'=:([\s-]*(?:%3[Dd])?$/.exec(front)?.[1] ?? "";
  if (NETWORK_WORD.test(word)) return false;
  if (!plain) return /(?:^|[\s"(;])(?!Server|Host|IP)[A-Z][A-Za-z]+\/$/.test(front);
  if (PART_WORD.test(front) || /[A-Za-z0-9][-_/=]$/.test(front)) return true;
  // 4.2.1.3 Scope: a section number in a heading.
  if (/(?:^|\n)[ \t#*>-]*$/.test(front))
    return small && /^(?:[.)]?[ \t]+["“(]?(?!GET|POST|HEAD|PUT|[A-Z]+ \/)\p{Lu}|[.)]\s)/u.test(rest);
  // OpenSSL 1.1.1.1, nginx 1.2.3.4: after a product name.
  // A lower-case word may not be a product name; then the first number must be low, as in most versions.
  if (!/[\p{L}\d] $/u.test(front) || COMMON_WORD.test(word) || /['’]s$/.test(word)) return false;
  return /[\p{Lu}\d]/u.test(word) || octets[0] < 7;
}

/** IANA's special-purpose ranges, whose addresses identify no one. */
const special = new BlockList();
for (const range of [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
]) {
  const [network, bits] = range.split("/");
  special.addSubnet(network, Number(bits), "ipv4");
}
special.addSubnet("2001:db8::", 32, "ipv6");
special.addSubnet("3fff::", 20, "ipv6");

/** The IPv6 range that registries allocate from, and the range of IPv4-mapped addresses. */
const assigned = new BlockList();
assigned.addSubnet("2000::", 3, "ipv6");
const mapped = new BlockList();
mapped.addSubnet("::ffff:0:0", 96, "ipv6");

function findV6(text: string): PersonalMatch[] {
  const matches: PersonalMatch[] = [];
  let free = 0;
  for (const { index } of text.matchAll(V6)) {
    if (index < free) continue;
    let [start, end] = [index, index];
    while (start > free && index - start < LONGEST_V6 && isV6Unit(text.charCodeAt(start - 1))) start -= 1;
    while (end < text.length && end - start < 2 * LONGEST_V6 && isV6Unit(text.charCodeAt(end))) end += 1;
    free = end;
    if (text[start - 1] === "%") start += 2;
    else if (/[\w.]/.test(text[start - 1] ?? "") && text[start] !== ":") continue;
    // `addr:2a00::1` and `from 2a00::1:`
    if (/^:(?!:)/.test(text.slice(start, start + 2))) start += 1;
    if (text[end - 1] === ":" && text[end - 2] !== ":") end -= 1;
    if (end - start > 39 || /\w|\.\d/.test(text.slice(end, end + 2).replace(/^\.(?!\d).*|^[^\w.].*/s, ""))) continue;
    if (isPublicV6(text.slice(start, end))) matches.push({ type: "ip", start, end });
  }
  return matches;
}

/** A hexadecimal digit or a colon. */
const isV6Unit = (unit: number) =>
  (unit >= 0x30 && unit <= 0x3a) || (unit >= 0x41 && unit <= 0x46) || (unit >= 0x61 && unit <= 0x66);

function isPublicV6(address: string): boolean {
  if (!isIPv6(address) || special.check(address, "ipv6")) return false;
  if (mapped.check(address, "ipv6")) return true;
  const first = address.slice(0, 4).toLowerCase();
  if (!assigned.check(address, "ipv6") || first.includes(":")) return false;
  // Years or a ratio may look like a short address, so it must be in a block that a registry has allocated.
  return address.split(":").filter((group) => group !== "").length > 3 || /^(?:200[123]|2[468ac])/.test(first);
}
