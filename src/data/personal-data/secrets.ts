/**
 * @file Finds secrets: keys and tokens that grant access. Those of known providers have a fixed form. Others are recognized
 * by the variable they are assigned to and by their randomness. Hashes and identifiers (git, UUID, SHA) are kept.
 */
import { type Finder, findAll, type PersonalMatch } from "./match.js";

const FORMS: readonly RegExp[] = [
  /(?<![A-Za-z0-9])(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z2-7]{16}(?![A-Za-z0-9])/g, // Amazon
  /(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,255}(?![A-Za-z0-9])/g, // GitHub
  /(?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{50,255}(?![A-Za-z0-9_])/g,
  /(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20,64}(?![A-Za-z0-9_-])/g, // GitLab
  /(?<![A-Za-z0-9])xox[abeprs]-[A-Za-z0-9-]{10,250}(?![A-Za-z0-9-])/g, // Slack
  /(?<![A-Za-z0-9])[sr]k_live_[A-Za-z0-9]{16,247}(?![A-Za-z0-9])/g, // Stripe
  /(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/g, // Google
  /(?<![A-Za-z0-9])sk-(?:proj-|ant-|svcacct-)?(?=[A-Za-z_-]{0,250}\d)[A-Za-z0-9_-]{32,250}(?![A-Za-z0-9_-])/g, // OpenAI, Anthropic
  /(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,50}(?![A-Za-z0-9])/g, // Hugging Face
  /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])/g,
  /(?<![A-Za-z0-9])pypi-[A-Za-z0-9_-]{50,250}(?![A-Za-z0-9_-])/g,
  /(?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/g, // SendGrid
  /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}(?![A-Za-z0-9_-])/g, // JWT
];
const ASSIGNED =
  /(?:api[_-]?key|apikey|access[_-]?key|secret[_-]?key|client[_-]?secret|auth[_-]?token|access[_-]?token|secret|token|passwd|password)["']?\s{0,3}(?::|=|=>|:=)\s{0,3}(?<quote>["']?)(?<value>[A-Za-z0-9+/_.=-]{16,128})\k<quote>(?![A-Za-z0-9+/_-])/gi;

const KEY_BEGIN = /-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY-----/g;
const KEY_END = /-----END (?:[A-Z]+ ){0,3}PRIVATE KEY-----/g;
const KEY_LENGTH = 16_000;

export const findSecrets: Finder = (text) => [
  ...privateKeys(text),
  ...FORMS.flatMap((form) => findAll("api_key", text, form)),
  ...assigned(text),
];

/** Finds private keys from the BEGIN line to the END line, if the text between looks like a key. */
function privateKeys(text: string): PersonalMatch[] {
  const matches: PersonalMatch[] = [];
  const begins = [...text.matchAll(KEY_BEGIN)];
  const ends = begins.length === 0 ? [] : [...text.matchAll(KEY_END)];
  let end = 0;
  for (const [i, { 0: line, index }] of begins.entries()) {
    while (end < ends.length && ends[end].index < index) end += 1;
    const last = ends[end];
    if (last === undefined || last.index > (begins[i + 1]?.index ?? text.length) || last.index - index > KEY_LENGTH)
      continue;
    const body = text.slice(index + line.length, last.index);
    // JSON and environment variables contain `\\n` for a line end.
    if (body.length < 16 || !/^[A-Za-z0-9+/=\s:,\\-]*$/.test(body)) continue;
    matches.push({ type: "api_key", start: index, end: last.index + last[0].length });
  }
  return matches;
}

function assigned(text: string): PersonalMatch[] {
  const matches: PersonalMatch[] = [];
  for (const match of text.matchAll(ASSIGNED)) {
    const { value = "", quote = "" } = match.groups ?? {};
    if (!looksRandom(value)) continue;
    const end = match.index + match[0].length - quote.length;
    matches.push({ type: "api_key", start: end - value.length, end });
  }
  return matches;
}

/** Whether a value mixes letters and digits with at least 3.2 bits per character, unlike `process.env.API_KEY`. */
function looksRandom(value: string): boolean {
  const digits = value.match(/\d/g)?.length ?? 0;
  if (digits < 2 || !/[A-Za-z]/.test(value) || /(?:example|your|xxxx|placeholder)/i.test(value)) return false;
  if (/^[a-z]+(?:[._-][a-z]+)*\d{0,4}$/i.test(value)) return false;
  const counts = new Map<string, number>();
  for (const character of value) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length);
  return bits >= 3.2;
}
