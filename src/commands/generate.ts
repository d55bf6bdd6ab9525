import { generateOptions } from "../infer/generate-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Continue a text with a trained model. Prints the continuation alone, as it comes. It ends at the model's end tokens, " +
    "also those of its generation_config.json; sampling follows the options here alone.",
  options: generateOptions,
  examples: [
    'quern generate --model runs/first --prompt "Call me"',
    'quern generate --model runs/first --prompt "The sea" --temperature 0',
  ],
  async run(options, { signal, write, print, log }) {
    const { generateText } = await import("../infer/index.js");
    let text = "";
    const warnings: string[] = [];
    const onWarning = (warning: string) => {
      warnings.push(warning);
      log(`warning: ${warning}`);
    };
    for await (const piece of generateText({ ...options, signal, onWarning })) {
      text += piece;
      write(piece);
    }
    print();
    return { prompt: options.prompt, text, warnings };
  },
});
