/** @file The models of the server. */
import { computed, signal } from "@preact/signals";
import { CallError, getJson } from "./server.js";
import { settings } from "./settings.js";

export interface Model {
  readonly id: string;
  /** Whether it can chat; a base model only continues texts. */
  readonly chat: boolean;
  /** Longest text in tokens. */
  readonly context_length: number;
}

export const models = signal<readonly Model[]>([]);
export const modelsError = signal("");

/** The chosen model: that of the settings, else the first. */
export const model = computed(() => models.value.find(({ id }) => id === settings.value.model) ?? models.value.at(0));

export async function loadModels(): Promise<void> {
  modelsError.value = "";
  try {
    models.value = ((await getJson("/v1/models")) as { data: readonly Model[] }).data;
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    modelsError.value = error.message;
  }
}
