/** @file LoRA adapters beside their base: several of them share the base's weights in memory. */
import { QuernError } from "../errors.js";
import { type ModelConfig, openAdapter } from "../model/index.js";
import type { ModelPrograms } from "./model-programs.js";

export interface AdapterPrograms {
  /** For `createDecoder` and `createEmbedder`. */
  readonly programs: ModelPrograms;
  /** Closes the adapter's files. Call it after the programs are closed. */
  close(): Promise<void>;
}

/**
 * Opens a LoRA adapter in PEFT's format over the programs of its base model. Its programs use the base's weights in place;
 * only the adapter's own matrices are read. The update is added to each projection's output instead of merged into its weights.
 * @throws QuernError for an adapter of another model, of a reward model, or with unsupported settings
 */
export async function openAdapterPrograms(
  folder: string,
  config: ModelConfig,
  base: ModelPrograms,
): Promise<AdapterPrograms> {
  const adapter = await openAdapter(folder, config);
  if (adapter.isReward) {
    await adapter.close();
    throw new QuernError(`${folder} is an adapter of a reward model, which generates no text; give another adapter`);
  }
  return { programs: base.adapted(adapter.lora, adapter.read), close: () => adapter.close() };
}
