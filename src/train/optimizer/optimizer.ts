/** @file One interface to both optimizers: AdamW for all parameters, or Muon for the projections and AdamW for the rest. */
import type { Tensor } from "../../tensor/index.js";
import {
  ADAMW_DEFAULTS,
  type AdamWOptions,
  adamw,
  adamwScalars,
  momentNames,
  type OptimizerUpdate,
  type ParameterStep,
} from "./adamw.js";
import { MUON_DEFAULTS, type MuonOptions, muon, muonScalars, muonStateNames } from "./muon.js";

export const OPTIMIZERS = ["adamw", "muon"] as const;

/** Muon's options include AdamW's, for the parameters that are not projections. */
export type OptimizerOptions = AdamWOptions | MuonOptions;

/** Returns the published defaults of an optimizer, with overrides. */
export function optimizerOf(overrides: {
  readonly optimizer?: (typeof OPTIMIZERS)[number];
  readonly decay?: number;
  readonly clip?: number;
}): OptimizerOptions {
  const decay = overrides.decay === undefined ? {} : { decay: overrides.decay };
  const adamwOptions = { ...ADAMW_DEFAULTS, ...decay, ...(overrides.clip !== undefined && { clip: overrides.clip }) };
  return overrides.optimizer === "muon" ? { ...MUON_DEFAULTS, ...decay, adamw: adamwOptions } : adamwOptions;
}

/** A parameter with the layout that Muon needs: its kind, and whether it is stored transposed. */
type Layout = Parameters<typeof muon>[0][number];

/** Builds clipping and one step for all parameters. Each run of the program needs the inputs of `optimizerScalars`. */
export function optimizerUpdate(
  parameters: readonly (ParameterStep & Layout)[],
  options: OptimizerOptions,
): OptimizerUpdate {
  return options.kind === "muon" ? muon(parameters, options) : adamw(parameters, options);
}

/** Returns the inputs of the update at step `step` (from 1), for the learning rate of the schedule. */
export function optimizerScalars(step: number, rate: number, options: OptimizerOptions): Record<string, number> {
  return options.kind === "muon" ? muonScalars(step, rate, options) : adamwScalars(step, rate, options);
}

/** A variable that an optimizer keeps between steps. It starts at 0. */
export interface StateVariable {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Returns the state variables of the optimizer, in the order in which they are saved. */
export function optimizerState(
  trainable: readonly (Pick<Layout, "name" | "kind"> & { readonly variable: Pick<Tensor, "shape"> })[],
  options: OptimizerOptions,
): readonly StateVariable[] {
  return trainable.flatMap((parameter) => {
    const { name, variable } = parameter;
    const names = options.kind === "muon" ? muonStateNames(name, parameter) : momentNames(name);
    return names.map((state) => ({ name: state, shape: variable.shape }));
  });
}
