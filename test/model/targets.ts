/** @file The backends that models are held to their oracle on, each with what it may differ by. */
import type { CompileOptions } from "../../src/backends/index.js";

export interface Target {
  readonly name: string;
  readonly options: CompileOptions;
  /** Largest relative difference from the float64 oracle, whose numbers are stored as float32. */
  readonly tolerance: number;
}

export const TARGETS: readonly Target[] = [{ name: "reference", options: { backend: "reference" }, tolerance: 1e-6 }];
