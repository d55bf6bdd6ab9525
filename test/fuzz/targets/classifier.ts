/** @file fastText's models, .bin and quantised: head, dictionary, matrices. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Predictor, readClassifier } from "../../../src/data/index.js";
import { mutateBytes, NUMBERS, set, splice } from "../mutations.js";
import type { Random } from "../random.js";
import { fixture } from "../seeds.js";
import type { Target } from "../target.js";

const seeds = [fixture("data/fixtures/fasttext-hs.bin"), fixture("data/fixtures/fasttext-quantised.ftz")];
const LINES = "one two three __label__a\nein zwei drei\n\n";

/** Where the dictionary ends: behind as many words as the head counts. */
function endOfWords(bytes: Buffer): number {
  let at = 64 + 28;
  for (let i = bytes.readInt32LE(64); i > 0; i--) at = bytes.indexOf(0, at) + 10;
  return at;
}

function mutate(bytes: Buffer, random: Random): Buffer {
  const number = (width: number) => {
    const data = Buffer.alloc(8);
    data.writeBigInt64LE(BigInt(Math.trunc(random.pick(NUMBERS.filter((each) => Math.abs(each) < 2 ** 62)))));
    return data.subarray(0, width);
  };
  const words = endOfWords(bytes);
  return random.oneOf(
    () => set(bytes, random.pick(Array.from({ length: 12 }, (_, i) => 8 + 4 * i)), number(4)),
    () => set(bytes, random.pick([64, 68, 72]), number(4)),
    () => set(bytes, random.pick([76, 84]), number(8)),
    () => mutateBytes(bytes, random, 92, words),
    () => mutateBytes(bytes, random, words, Math.min(bytes.length, words + 60)),
    () => mutateBytes(bytes, random, words),
    () => set(bytes, words + random.below(40), number(8)),
    () => splice(bytes, words, random.below(3), random.bytes(random.below(3))),
  );
}

export function open(): Target {
  return {
    make(random) {
      let bytes = random.pick(seeds);
      for (let i = random.few(); i > 0; i--) {
        try {
          bytes = mutate(bytes, random);
        } catch {
          bytes = mutateBytes(bytes, random, 12);
        }
      }
      return { "model.bin": bytes, "lines.txt": LINES };
    },
    async read(folder, reached) {
      try {
        const model = await readClassifier(join(folder, "model.bin"));
        reached();
        const predictor = new Predictor(model);
        for (const line of predictor.lines(readFileSync(join(folder, "lines.txt")), 3)) void line;
        predictor.text("one two");
      } catch (error) {
        if (!/not a fastText model|its version is/.test((error as Error).message)) reached();
        throw error;
      }
    },
    command: () => ["data", "classifier", "predict", "model.bin", "lines.txt", "--k", "3"],
  };
}
