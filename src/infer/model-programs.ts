/** @file The programs of one open model. The first one reads the weights, the others share them. */
import { type CompileOptions, compile, type Program, type Sharing, type Written } from "../backends/index.js";
import { type ModelConfig, modelVariables } from "../model/index.js";
import type { Entries } from "../tensor/index.js";

/**
 * The source of a model's weights. Either a function that returns the values of a parameter by name, or writes them into its
 * memory; or a program that has the weights, such as a training program, whose memory is shared without a copy.
 */
export type WeightSource = ((name: string) => Written | Promise<Written>) | Program | Sharing;

export interface ModelPrograms {
  /** Compiles entries over `modelVariables(config)` and loads the model's weights. */
  open(entries: Entries): Promise<Program>;
  /** Frees a program; the weights stay while another one is open. */
  close(program: Program): void;
}

export function modelPrograms(config: ModelConfig, source: WeightSource, options: CompileOptions = {}): ModelPrograms {
  const names = [...modelVariables(config).keys()];
  const variables = Object.fromEntries(names.map((name) => [name, name]));
  const programs = new Set<Program>();
  // One at a time, so that the second program shares the weights that the first has read.
  let last: Promise<unknown> = Promise.resolve();

  const openNow = async (entries: Entries): Promise<Program> => {
    const [holder] = programs;
    const shareWith = typeof source !== "function" ? source : holder && { program: holder, variables };
    const program = await compile(entries, { ...options, shareWith });
    try {
      if (typeof source === "function" && holder === undefined)
        for (const name of names) program.write(name, await source(name));
    } catch (error) {
      program.dispose();
      throw error;
    }
    programs.add(program);
    return program;
  };
  return {
    open(entries) {
      const opened = last.then(() => openNow(entries));
      last = opened.catch(() => {});
      return opened;
    },
    close(program) {
      programs.delete(program);
      program.dispose();
    },
  };
}
