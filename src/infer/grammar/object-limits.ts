/** @file What a schema says of an object, and what is planned for one that is being written. */
import type { Expression } from "./expression.js";
import type { LexerStates } from "./lexer-states.js";
import type { PlacedValue } from "./placed-value.js";

/** The values that a class of names may have, and the witnesses (a bit each) that such a value is. */
export interface PropertyOption {
  readonly node: PlacedValue;
  readonly witnesses: number;
}

export interface PropertyClass {
  /** One known name in UTF-8; undefined for a set of names. */
  readonly name: Uint8Array | undefined;
  readonly names: Expression;
  readonly options: PropertyOption[];
  readonly required: boolean;
}

export interface ObjectLimits {
  readonly classes: readonly PropertyClass[];
  readonly min: number;
  readonly max: number;
  /** Bits of the witnesses that are needed. */
  readonly witnesses: number;
}

/** A name in UTF-8, and as text. */
export interface PlannedName {
  readonly bytes: readonly number[];
  readonly text: string;
}

/** A property to be written. */
export interface PlannedProperty {
  readonly index: number;
  readonly option: PropertyOption;
  readonly name: readonly number[];
  /** Bytes, with the quotes, the colon and a comma. */
  readonly cost: number;
}

/** An object that is being written, as far as a plan for its rest needs it. */
export interface OpenObject {
  readonly shape: {
    readonly limits: ObjectLimits;
    readonly lexer: LexerStates;
    readonly requiredClasses: readonly number[];
    /** A name of a class, the shortest first. */
    shortName(index: number, position: number): PlannedName | undefined;
  };
  readonly witnesses: number;
  readonly count: number;
  /** Required properties that are not there yet. */
  readonly missing: number;
  /** Names outside the known ones that are there. */
  readonly extra: ReadonlySet<string>;
  has(index: number): boolean;
}
