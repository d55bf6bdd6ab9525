/** @file The programs of one open model. The first one reads the weights, the others share them. */
import { type CompileOptions, compile, type Program, type Sharing, type Written } from "../backends/index.js";
import { type LoraConfig, type ModelConfig, type ModelVariables, modelVariables, withLora } from "../model/index.js";
import { type Entries, isOp } from "../tensor/index.js";

/**
 * The source of a model's weights. Either a function that reads a parameter by name: it returns the values or writes them
 * into the parameter's memory. Or a program with the weights, such as a training program, whose memory is shared.
 */
export type WeightSource = ((name: string) => Written | Promise<Written>) | Program | Sharing;

export interface ModelPrograms {
  /** The model's variables, with those of its adapters. */
  readonly weights: ModelVariables;
  /** Compiles entries over `weights` and loads the model's weights. */
  open(entries: Entries): Promise<Program>;
  /** Frees a program; the weights stay while another one is open. */
  close(program: Program): void;
}

export interface ModelProgramsOptions extends CompileOptions {
  /** Adapters of the model, which the source has too. */
  readonly lora?: LoraConfig | null;
}

export function modelPrograms(
  config: ModelConfig,
  source: WeightSource,
  { lora, ...options }: ModelProgramsOptions = {},
): ModelPrograms {
  const base = modelVariables(config);
  const weights = lora ? withLora(config, base, lora) : base;
  const names = [...weights].flatMap(([name, { node }]) => (isOp(node, "variable") ? [name] : []));
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
    weights,
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
