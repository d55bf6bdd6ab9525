/** @file The optimizers of a training run by one face: AdamW for all parameters, or Muon for the matrices in the layers. */
import { type ModelConfig, type Parameter, parametersOf } from "../../model/index.js";
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

/** Muon's options hold AdamW's for the parameters that are not its own. */
export type OptimizerOptions = AdamWOptions | MuonOptions;

const isMuon = (options: OptimizerOptions): options is MuonOptions => "adamw" in options;

/** The published settings of an optimizer, with what is said of them. */
export function optimizerOf(said: {
  readonly optimizer?: (typeof OPTIMIZERS)[number];
  readonly decay?: number;
  readonly clip?: number;
}): OptimizerOptions {
  const decay = said.decay === undefined ? {} : { decay: said.decay };
  const adamwOptions = { ...ADAMW_DEFAULTS, ...decay, ...(said.clip !== undefined && { clip: said.clip }) };
  return said.optimizer === "muon" ? { ...MUON_DEFAULTS, ...decay, adamw: adamwOptions } : adamwOptions;
}

/** Clipping and one step for all parameters. The program takes `optimizerScalars` at each run. */
export function optimizerUpdate(
  parameters: readonly (ParameterStep & { readonly parameter: Parameter })[],
  options: OptimizerOptions,
): OptimizerUpdate {
  return isMuon(options) ? muon(parameters, options) : adamw(parameters, options);
}

/** What the update takes at step `step`, from 1, with the schedule's rate. */
export function optimizerScalars(step: number, rate: number, options: OptimizerOptions): Record<string, number> {
  return isMuon(options) ? muonScalars(step, rate, options) : adamwScalars(step, rate, options);
}

/** A variable that an optimizer keeps from step to step. It begins at 0. */
export interface StateVariable {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What the update keeps beside the weights, in the order in which it is saved. */
export function optimizerState(config: ModelConfig, options: OptimizerOptions): readonly StateVariable[] {
  return parametersOf(config).flatMap((parameter) => {
    const { name, shape } = parameter;
    const names = isMuon(options) ? muonStateNames(name, parameter) : momentNames(name);
    return names.map((state) => ({ name: state, shape }));
  });
}
