/** @file One interface to both optimizers: AdamW for all parameters, or Muon for the projections and AdamW for the rest. */
import type { Tensor } from "../../tensor/index.js";
import {
  ADAMW_DEFAULTS,
  type AdamWOptions,
  adamw,
  adamwAssignments,
  adamwScalars,
  clipScale,
  momentNames,
  type OptimizerUpdate,
  type ParameterStep,
} from "./adamw.js";
import {
  isMuonMatrix,
  MUON_DEFAULTS,
  type MuonOptions,
  muon,
  muonAssignments,
  muonScalars,
  muonStateNames,
} from "./muon.js";

export const OPTIMIZERS = ["adamw", "muon"] as const;
export type OptimizerKind = (typeof OPTIMIZERS)[number];

/** Muon's options include AdamW's, for the parameters that are not projections. */
export type OptimizerOptions = AdamWOptions | MuonOptions;

/** Returns the published defaults of an optimizer, with overrides. */
export function optimizerOf(overrides: {
  readonly optimizer?: OptimizerKind;
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

/** Name of the variable that contains a parameter's gradient. */
export const gradientName = (parameter: string) => `gradient.${parameter}`;

/** A parameter that an optimizer updates, without its gradient. */
export type Updatable = Omit<Layout, "gradient">;

/** What decides the state of a parameter. */
export type Updated = Pick<Layout, "name" | "kind"> & { readonly variable: Pick<Tensor, "shape"> };

/** Whether the optimizer updates the parameter as a matrix; AdamW updates every number alone. */
export const usesMuon = (parameter: Pick<Layout, "kind">, { kind }: OptimizerOptions): boolean =>
  kind === "muon" && isMuonMatrix(parameter);

/** Builds one step for some of the parameters. `norm` is the global norm of all gradients, of shape []. */
export function optimizerAssignments(
  parameters: readonly (ParameterStep & Layout)[],
  norm: Tensor,
  options: OptimizerOptions,
): OptimizerUpdate["assign"] {
  return options.kind === "muon"
    ? muonAssignments(parameters, clipScale(norm, options.adamw.clip), options)
    : adamwAssignments(parameters, clipScale(norm, options.clip), options);
}

/** A variable that an optimizer keeps between steps. It starts at 0. */
export interface StateVariable {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Returns the state variables of the optimizer, in the order in which they are saved. */
export function optimizerState(trainable: readonly Updated[], options: OptimizerOptions): readonly StateVariable[] {
  return trainable.flatMap((parameter) =>
    stateNames(parameter, options).map((name) => ({ name, shape: parameter.variable.shape })),
  );
}

/** Names of a parameter's state variables. */
export const stateNames = (parameter: Pick<Layout, "name" | "kind">, { kind }: OptimizerOptions): readonly string[] =>
  kind === "muon" ? muonStateNames(parameter.name, parameter) : momentNames(parameter.name);
