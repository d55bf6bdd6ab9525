import type { QuantisedFile, QuantiseResult } from "../eval/index.js";
import { quantiseOptions } from "../eval/quantise/quantise-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Store a model's weights in fewer bits, as a GGUF file that Quern and llama.cpp load. The bytes are those of llama-quantize " +
    "without an importance matrix. q4_k_m and other mixtures give more bits to the tensors whose errors matter most. Rows that " +
    "fill no block of a type get a larger type. --report compares the file with the model: size, bits per byte of held-out " +
    "text, and tokens/s of decoding one text.",
  options: quantiseOptions,
  computes: true,
  examples: [
    "quern quantise --model runs/first --type q8_0 --out first-q8_0.gguf",
    "quern quantise --model runs/first --type q8_0,q4_k_m --out first.gguf --report --text held-out.jsonl",
  ],
  async run(options, { signal, onProgress, print, log }) {
    const { quantiseModel } = await import("../eval/index.js");
    const onWarning = (warning: string) => log(`warning: ${warning}`);
    const result = await quantiseModel({ ...options, signal, onProgress, onWarning });
    const { before, after, text } = result;
    const wide = Math.max(5, ...after.map(({ gguf }) => gguf.length));
    print(
      `${"file".padEnd(wide)}  type        bytes  bits/weight${text ? "  bits/byte    change  tokens/s  speedup" : ""}`,
    );
    print(row(wide, "model", "", before));
    for (const each of after) print(row(wide, each.gguf, each.type, each));
    if (text) {
      const source = text.files === null ? "sampled from the model" : `of ${text.files.join(", ")}`;
      print(`bits per byte of ${text.bytes} bytes (${text.tokens} tokens) ${source}`);
    }
    return result;
  },
});

function row(
  wide: number,
  file: string,
  type: string,
  each: QuantiseResult["before"] & Partial<QuantisedFile>,
): string {
  const { bytes, bits_per_weight, bits_per_byte, bits_per_byte_change, tokens_per_second, speedup } = each;
  const cells = [
    file.padEnd(wide),
    type.padEnd(6),
    String(bytes).padStart(10),
    bits_per_weight.toFixed(2).padStart(11),
  ];
  if (bits_per_byte !== undefined && tokens_per_second !== undefined) {
    const change = bits_per_byte_change === undefined ? "" : `${(100 * bits_per_byte_change).toFixed(2)} %`;
    cells.push(bits_per_byte.toFixed(4).padStart(9), change.padStart(8), tokens_per_second.toFixed(1).padStart(8));
    cells.push((speedup === undefined ? "" : `${speedup.toFixed(2)} ×`).padStart(7));
  }
  return cells.join("  ").trimEnd();
}
