import { z } from "zod";
import { forceOption, readingOptions } from "../options.js";
import type { MixtureSearch } from "../scale/index.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Mix documents of several sources or domains by weights, by temperature, or by weights found with small proxy runs. A recipe " +
    "can cap repetitions of a document, repeat better ones more often and put the best last. Writes documents/ and mix.json.",
  options: z.object({
    recipe: z
      .string()
      .describe("a JSON file, or a TypeScript file that exports defineMix(...)")
      .meta({ value: "FILE" }),
    ...readingOptions,
    out: z.string().describe("folder for documents/ and mix.json").meta({ value: "DIR" }),
    force: forceOption,
  }),
  examples: ["quern data mix --recipe mix.json --out mixed/"],
  async run({ recipe: path, out, force, textField, strict }, { signal, onProgress, print }) {
    const { readLines } = await import("../documents/index.js");
    const { loadMix } = await import("../data/recipes/load-mix.js");
    const { mix } = await import("../data/mix/mix.js");
    const recipe = await loadMix(path);
    // The search trains models, which src/data must not import.
    const searching = recipe.optimise === undefined ? undefined : (await import("../scale/index.js")).optimiseMix;
    const result = await (searching ?? mix)({ recipe, out, force, textField, strict, signal, onProgress });
    if ("search" in result) {
      const { regression, loss, runs } = result.search as MixtureSearch;
      print(
        `${runs.length - 1} proxy runs; a ${regression.form} regression ranks held-out runs with correlation ` +
          `${regression.correlation.toFixed(2)} (error ${regression.error.toFixed(3)} nats)`,
      );
      print(
        `target loss ${loss.measured.toFixed(3)} nats per token with the chosen weights (${loss.predicted.toFixed(3)} predicted), ` +
          `${loss.natural.toFixed(3)} with weights by size`,
      );
      if (!(regression.correlation >= LEAST_CORRELATION)) {
        print("the correlation is low: the proxy runs hardly distinguish mixtures; set more steps or runs in optimise");
      }
    }
    const wide = Math.max(...result.groups.map(({ name }) => name.length), 5);
    print(`${"group".padEnd(wide)}   MB in  epochs  target   share  MB out`);
    for (const { name, bytes, epochs, asked, share, bytesWritten, capped } of result.groups) {
      const figures = [(bytes / 1e6).toFixed(1), epochs.toFixed(2), percent(asked), percent(share)];
      const last = `${(bytesWritten / 1e6).toFixed(1).padStart(8)}${capped ? "  (capped)" : ""}`;
      print(`${name.padEnd(wide)}${figures.map((figure) => figure.padStart(8)).join("")}${last}`);
    }
    print(`${result.documents} documents, ${result.written} in the mix, ${(result.bytesWritten / 1e6).toFixed(1)} MB`);
    const { bytes: wanted } = recipe;
    if (wanted !== undefined && result.bytesWritten < 0.95 * wanted && result.groups.some(({ capped }) => capped)) {
      print(`less than the requested ${(wanted / 1e6).toFixed(1)} MB: epochs limits how often a document repeats`);
    }
    if (result.unjudged > 0) print(`${result.unjudged} documents have no quality score and rank lowest`);
    for (const line of readLines(result)) print(line);
    print(`written to ${out}/documents`);
    return { out, ...result };
  },
});

/** Below this correlation the weights that the search found are unreliable. */
const LEAST_CORRELATION = 0.7;
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
