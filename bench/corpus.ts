/**
 * @file Benchmarks of corpus building. Each section alternates with its peers and reports medians; the last line is JSON.
 *
 *     QUERN_SHARED=… QUERN_PYTHON=… npm run bench:corpus [-- --rounds 3 --only signatures,suffix --documents 1000000]
 *
 * QUERN_SHARED is the folder that contains data/documents, QUERN_PYTHON a Python with datatrove 0.10 and spaCy 3.8. libdivsufsort
 * comes from Debian (libdivsufsort-dev). Rows whose peer is missing are reported without one, with a message.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { classifier } from "./corpus-classifier.js";
import { near } from "./corpus-near.js";
import { pieces } from "./corpus-pieces.js";
import type { Row, Section } from "./corpus-row.js";
import { signatures } from "./corpus-signatures.js";
import { suffix } from "./corpus-suffix.js";
import { machineLine } from "./measure.js";

const { rounds, only, documents } = readArguments();
const sections: readonly Section[] = [signatures, suffix, pieces, classifier, near(documents)];
for (const name of only) {
  if (!sections.some((section) => section.name === name)) {
    throw new Error(`unknown section ${name}; known: ${sections.map((section) => section.name).join(", ")}`);
  }
}

console.log(await machineLine());
const folder = await mkdtemp(join(tmpdir(), "quern-bench-"));
const rows: Row[] = [];
try {
  for (const section of sections) {
    if (only.size > 0 && !only.has(section.name)) continue;
    const found = await section.run({ rounds, folder });
    for (const row of found) console.log(`  ${describe(row)}`);
    rows.push(...found);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(JSON.stringify({ bench: "corpus", rows }));

function describe({ name, value, unit, peer, ratio, least, most }: Row): string {
  const short = (number: number) => Number(number.toPrecision(3)).toString();
  const parts = [`${name}: ${short(value)} ${unit}`.trimEnd()];
  if (peer !== undefined) parts.push(`${peer.name} ${short(peer.value)}`);
  if (ratio !== undefined) parts.push(`${short(ratio)} ×`);
  const compared = ratio ?? value;
  if (least !== undefined) parts.push(compared >= least ? `at least ${least}: met` : `at least ${least}: MISSED`);
  if (most !== undefined) parts.push(compared <= most ? `at most ${most}: met` : `at most ${most}: MISSED`);
  return parts.join("; ");
}

function readArguments() {
  const found = { rounds: 3, only: new Set<string>(), documents: 1_000_000 };
  const args = process.argv.slice(2);
  for (let i = 0; i < args.length; i += 2) {
    const value = args[i + 1] ?? "";
    const number = Number(value);
    if (args[i] === "--rounds" && Number.isInteger(number) && number > 0) found.rounds = number;
    else if (args[i] === "--documents" && Number.isInteger(number) && number > 0) found.documents = number;
    else if (args[i] === "--only" && value !== "") found.only = new Set(value.split(","));
    else throw new Error(`${args[i]} ${value}: use --rounds N, --documents N or --only SECTION,SECTION`);
  }
  return found;
}
