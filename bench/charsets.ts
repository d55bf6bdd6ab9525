/**
 * @file Accuracy of encoding detection on pages that declare none, compared with chardet, cchardet and charset_normalizer.
 * `npm run bench charsets pages.jsonl`, with the pages of test/oracle/charset_pages.py. Those pages consist of the lines that
 * `scripts/letter-pairs.mjs … half` excludes. To measure on held-out text, first make the table with that script.
 */
import { readFileSync } from "node:fs";
import { decodePage } from "../src/documents/charset/charset.js";

interface Row {
  readonly language: string;
  readonly charset: string;
  readonly size: "short" | "long";
  readonly bytes: string;
  readonly chardet: boolean;
  readonly cchardet: boolean;
  readonly charset_normalizer: boolean;
}

const PEERS = ["chardet", "cchardet", "charset_normalizer"] as const;
const letters = (text: string) => text.normalize("NFC").replace(/[^\p{L}]/gu, "");

const rows = new Map<string, Record<string, number>>();
for (const line of readFileSync(process.argv[2], "utf8").trim().split("\n")) {
  const row: Row = JSON.parse(line);
  const bytes = Buffer.from(row.bytes, "base64");
  const found = decodePage(bytes);
  const isRight = letters(found.text) === letters(new TextDecoder(row.charset).decode(bytes));
  for (const key of [row.language, row.charset, "all"]) {
    const sums = rows.get(key) ?? {};
    const add = (name: string, value: boolean) => {
      sums[name] = (sums[name] ?? 0) + Number(value);
    };
    add(`${row.size} pages`, true);
    add(`${row.size} quern`, isRight);
    for (const peer of PEERS) add(`${row.size} ${peer}`, row[peer]);
    if (!isRight) sums[`as ${found.charset}`] = (sums[`as ${found.charset}`] ?? 0) + 1;
    rows.set(key, sums);
  }
}
const share = (sums: Record<string, number>, size: string, name: string) =>
  `${Math.round((100 * sums[`${size} ${name}`]) / sums[`${size} pages`])}`.padStart(4);
const names = ["quern", ...PEERS];
console.log(`${"".padEnd(16)}${["short", "long"].map((size) => `${size}: ${names.join(" ")}`).join("  ")}`);
for (const [key, sums] of rows) {
  const wrong = Object.entries(sums).filter(([name]) => name.startsWith("as "));
  const shares = ["short", "long"].map((size) => names.map((name) => share(sums, size, name)).join(""));
  console.log(key.padEnd(16), shares.join("   "), wrong.map(([name, count]) => `${count} ${name}`).join(", "));
}
const all = rows.get("all") ?? {};
console.log(JSON.stringify(Object.fromEntries(Object.entries(all).filter(([name]) => !name.startsWith("as ")))));
