/** Compares the tensor types of mixtures with llama.cpp's (test/oracle/gguf_mixtures.py). */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Family } from "../../src/model/config.js";
import { ggufName } from "../../src/model/gguf/architectures.js";
import { FILE_TYPE_NAMES, type FileType, tensorTypes } from "../../src/model/gguf/type-mixtures.js";
import { defineModel, parametersOf } from "../../src/model/index.js";

interface Case {
  family: Family;
  layers: number;
  width: number;
  hidden: number;
  tiedHead: boolean;
  /** Names per type; `blk.*.x` is x in every layer, `blk.0,2.x` in layers 0 and 2. */
  files: Record<FileType, Record<string, string[]>>;
}

const cases = JSON.parse(
  readFileSync(new URL("../oracle/fixtures/gguf/mixtures.json", import.meta.url), "utf8"),
) as Case[];

function expand(types: Record<string, string[]>, layers: number): Map<string, string> {
  const found = new Map<string, string>();
  for (const [type, names] of Object.entries(types)) {
    for (const name of names) {
      const [, where, part] = /^blk\.([\d,*]+)\.(.+)$/.exec(name) ?? [];
      if (part === undefined) found.set(name, type);
      else {
        const all = where === "*" ? Array.from({ length: layers }, (_, i) => `${i}`) : where.split(",");
        for (const layer of all) found.set(`blk.${layer}.${part}`, type);
      }
    }
  }
  return found;
}

describe.each(cases)(
  "tensors of a $family with $layers layers, width $width, hidden width $hidden, tied head $tiedHead",
  ({ files, ...sizes }) => {
    const config = defineModel({
      ...sizes,
      heads: 2,
      keyValueHeads: sizes.family === "gpt2" ? 2 : 1,
      vocabSize: 8,
      sequence: 16,
    });
    const tensors = parametersOf(config).map(({ name, shape }) => ({ name: ggufName(config.family, name), shape }));

    it.each(FILE_TYPE_NAMES)("have llama.cpp's types in a %s file", (type) => {
      const wanted = expand(files[type], config.layers);
      const found = tensorTypes(type, config, tensors);
      expect([...found.keys()].sort()).toEqual([...wanted.keys()].sort());
      expect(new Map([...found].sort())).toEqual(new Map([...wanted].sort()));
    });
  },
);
