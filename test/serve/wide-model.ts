/** @file The tiny model of the server's tests with a longer context, for conversations with tools and schemas. */
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TINY } from "./serving.js";

/**
 * Writes a copy of the model whose context is `sequence` tokens: rotations have no table that would end.
 * @returns its folder, alone in a temporary folder, which the caller removes
 */
export function wideModel(sequence: number): string {
  const folder = join(mkdtempSync(join(tmpdir(), "quern-wide-")), "tiny");
  cpSync(TINY, folder, { recursive: true });
  const config = join(folder, "config.json");
  const described = JSON.parse(readFileSync(config, "utf8")) as object;
  writeFileSync(config, JSON.stringify({ ...described, max_position_embeddings: sequence }));
  return folder;
}
