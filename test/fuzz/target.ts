/** @file What a reader under test is made of. */
import type { Random } from "./random.js";

/** An input: the files of a folder, by their paths. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

export interface Target {
  /** Makes an input: seeds, mutated. */
  make(random: Random, seed: number): Files;
  /**
   * Reads an input from the folder that holds its files, and calls `reached` once it is beyond the header: beyond magic
   * numbers and the first parse. A `QuernError` is a good answer at any time.
   */
  read(folder: string, reached: () => void): Promise<void>;
  /** Words of the command line that reads the input, called in its folder. */
  readonly command?: (files: Files) => readonly string[];
}

/** A module under targets/. */
export interface TargetModule {
  open(): Promise<Target> | Target;
}
