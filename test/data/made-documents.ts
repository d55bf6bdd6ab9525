/** @file What the tests of cleaning are fed with: made-up documents, and folders as texts. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const WORDS = (
  "the of and to that have with be the of and miller child river bridge window letter harvest harbour horse market bread stone wheel " +
  "grain flour oven table lamp evening morning winter summer walked forgot liked wanted looked thought talked waited carried " +
  "opened slowly gladly never always old grey quiet wooden narrow early near under over behind before while because"
).split(" ");

/** A document that most recipes keep, different for each number: words that look drawn, and are the same in every run. */
export function document(i: number) {
  let state = i + 1;
  const draw = () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return WORDS[(state >>> 9) % WORDS.length];
  };
  const sentence = (n: number) =>
    `${["So", "Then", "Now", "Here"][n % 4]} ${Array.from({ length: 11 }, draw).join(" ")}.`;
  const text = Array.from({ length: 14 }, (_, n) => `${sentence(n)}${n % 3 === 2 ? "\n" : " "}`).join("");
  return { id: `d${i}`, url: `https://site${i % 7}.example.com/${i}`, text: text.trim() };
}

export const lines = (documents: readonly object[]) => documents.map((each) => `${JSON.stringify(each)}\n`).join("");

/** Writes a file below a folder; gives its path. */
export function writeTo(folder: string, name: string, data: string | Buffer): string {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, data);
  return path;
}

/** Every file under a folder with its bytes. */
export function tree(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(join(folder, name)).isFile(),
  );
  return Object.fromEntries(files.sort().map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}
