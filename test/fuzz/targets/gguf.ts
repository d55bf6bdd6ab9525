/** @file GGUF files: metadata and tensors changed one by one, counts and lengths that lie, bytes changed, ends cut off. */
import { join } from "node:path";
import { TENSOR_TYPES } from "../../../src/model/gguf/blocks.js";
import { openGguf, openModel, parametersOf } from "../../../src/model/index.js";
import { loadTokenizer } from "../../../src/tokenizer/index.js";
import { type Entry, ggufBytes, smallLlama, type TensorToStore, tinyLlama, u32, u64 } from "../../model/gguf-writer.js";
import { mutateBytes, mutateList, mutateText, NUMBERS, several } from "../mutations.js";
import type { Random } from "../random.js";
import { fixture } from "../seeds.js";
import type { Target } from "../target.js";

const COUNTS = [0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 60n, 2n ** 63n, 2n ** 64n - 1n];
const KEYS = [
  "general.alignment",
  "general.type",
  "split.count",
  "llama.rope.scaling.type",
  "llama.rope.scaling.factor",
  "llama.attention.key_length",
  "tokenizer.chat_template",
  "tokenizer.ggml.add_bos_token",
  "tokenizer.ggml.bos_token_id",
];

function mutateEntry([key, type, value]: Entry, random: Random): Entry {
  if (typeof type === "number") return [key, type, value];
  const number = Math.trunc(random.pick(NUMBERS)) || 0;
  if (random.chance(0.1)) return [random.pick(KEYS), type, value];
  if (random.chance(0.04)) return [key, 9, Buffer.concat([u32(random.below(14)), u64(random.pick(COUNTS))])];
  if (random.chance(0.04)) return [key, random.below(14), u64(random.pick(COUNTS))];
  if (Array.isArray(value)) return [key, type, mutateList(value, random)];
  if (type === "string") return [key, type, mutateText(value as string, random)];
  return random.chance(0.2) ? [key, "string", "x"] : [key, type, number];
}

function mutateTensor(tensor: TensorToStore, random: Random): TensorToStore {
  const dimensions = [...tensor.dimensions];
  dimensions[random.below(dimensions.length)] = random.pick([0n, 1n, 3n, 4n, 32n, 2n ** 40n, 2n ** 63n]);
  return random.pick<TensorToStore>([
    { ...tensor, dimensions },
    { ...tensor, dimensions: random.pick([[], [1, 1, 1, 1, 1], tensor.dimensions.toReversed()]) },
    { ...tensor, type: random.pick([0, 1, 2, 3, 4, 6, 8, 12, 14, 30, 77]) },
    { ...tensor, offset: random.pick([0, 32, 4, 2 ** 40, ...COUNTS]) },
    { ...tensor, name: random.pick(["", "output.weight", "rope_freqs.weight", tensor.name.replace("0", "1"), "x"]) },
  ]);
}

/** A model whose matrices have a quantised type, with random bytes: every scale that a file may contain. */
function quantised(random: Random) {
  const number = random.pick([2, 3, 6, 7, 8, 12, 13, 14]);
  const { block, bytes } = TENSOR_TYPES.get(number)!;
  return smallLlama(block, number, (values) =>
    Uint8Array.from({ length: (values / block) * bytes }, () => random.below(256)),
  );
}

export function open(): Target {
  const seeds = ["llama", "gpt2", "qwen3"].map((name) => fixture(`oracle/fixtures/gguf/${name}.gguf`));
  return {
    make(random) {
      if (random.chance(0.2)) {
        const seed = random.pick(seeds);
        if (random.chance(0.3)) return { "model.gguf": seed.subarray(0, random.below(seed.length)) };
        return { "model.gguf": mutateBytes(seed, random, 4, random.chance(0.3) ? 12_000 : seed.length) };
      }
      const { metadata, tensors } = random.chance(0.1) ? quantised(random) : tinyLlama();
      const entries = random.chance(0.6);
      const file = ggufBytes({
        metadata: entries
          ? several(metadata, random, (all) => {
              const at = random.below(all.length);
              return all.map((entry, i) => (i === at ? mutateEntry(entry, random) : entry));
            })
          : metadata,
        tensors:
          entries && random.chance(0.5)
            ? tensors
            : tensors.map((each) => (random.chance(0.06) ? mutateTensor(each, random) : each)),
        ...(random.chance(0.03) && { version: random.pick([0, 1, 2, 4, 3 << 24]) }),
        ...(random.chance(0.03) && { tensorCount: random.pick(COUNTS) }),
        ...(random.chance(0.03) && { entryCount: random.pick(COUNTS) }),
      });
      return { "model.gguf": random.chance(0.1) ? mutateBytes(file, random, 4) : file };
    },
    async read(folder, reached) {
      const path = join(folder, "model.gguf");
      const answer = (error: Error) => {
        if (error.name !== "QuernError") throw error;
      };
      const file = await openGguf(path).catch((error: Error) => {
        // What is wrong with a tensor comes behind all of the metadata.
        if (/tensor/.test(error.message)) reached();
        throw error;
      });
      reached();
      await file.close();
      await loadTokenizer(path).then((tokenizer) => tokenizer.decode(tokenizer.encode("ab <end> 12")), answer);
      const model = await openModel(path);
      try {
        for (const { name } of parametersOf(model.config)) await model.readParameter(name);
      } finally {
        await model.close();
      }
    },
    command: () => ["import", "model.gguf", "--out", "model"],
  };
}
