/** TRL's numbers on a tiny Llama of 2 layers, width 64 and 260 byte tokens, with data, ids and masks. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openSafetensors, writeSafetensors } from "../../src/model/index.js";

export const fixture = (name: string) => fileURLToPath(new URL(`../oracle/fixtures/align/${name}`, import.meta.url));
export const readFixture = <T>(name: string): T => JSON.parse(readFileSync(fixture(name), "utf8")) as T;
export const POLICY = fixture("policy");
export const REFERENCE = fixture("ref");

export interface TrainerCase {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly loss: number;
  readonly grad_norm: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly data?: readonly Readonly<Record<string, unknown>>[];
}
export type Trainers = Readonly<Record<"sft" | "reward" | "dpo", readonly TrainerCase[]>>;

/** A temporary folder with JSONL files in it. */
export function scratch() {
  const folder = mkdtempSync(join(tmpdir(), "quern-align-"));
  return {
    path: (name: string) => join(folder, name),
    jsonl(name: string, rows: readonly object[]): string {
      const path = join(folder, name);
      writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
      return path;
    },
    lines: (name: string) =>
      readFileSync(join(folder, name), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, number>),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Writes TRL's reward model, which shares its trunk with the policy. */
export async function makeRewardModel(folder: string): Promise<void> {
  mkdirSync(folder);
  copyFileSync(fixture("reward/head/config.json"), `${folder}/config.json`);
  for (const name of ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
    copyFileSync(`${POLICY}/${name}`, `${folder}/${name}`);
  const [trunk, head] = [
    await openSafetensors(`${POLICY}/model.safetensors`),
    await openSafetensors(fixture("reward/head/score.safetensors")),
  ];
  const tensors = [trunk, head].flatMap((file) =>
    [...file.tensors]
      .filter(([name]) => name !== "lm_head.weight")
      .map(([name, { shape }]) => ({ name, shape, dtype: "F32" as const, data: () => file.readFloats(name) })),
  );
  await writeSafetensors(`${folder}/model.safetensors`, tensors);
  await Promise.all([trunk.close(), head.close()]);
}
