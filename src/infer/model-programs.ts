/** @file The programs of one open model and its adapters. Each weight is read once and shared by all programs that use it. */
import { type CompileOptions, compile, type Program, type Sharing, type Written } from "../backends/index.js";
import { type LoraConfig, type ModelConfig, type ModelVariables, modelVariables, withLora } from "../model/index.js";
import { type DType, type Entries, isOp, nodesOf } from "../tensor/index.js";

/**
 * The source of a model's weights. Either a function that reads a parameter by name: it returns the values or writes them
 * into the parameter's memory. Or a program with the weights, such as a training program, whose memory is shared.
 */
export type WeightSource = ReadWeight | Program | Sharing;
type ReadWeight = (name: string) => Written | Promise<Written>;

export interface ModelPrograms {
  /** The model's variables, with those of its adapters. */
  readonly weights: ModelVariables;
  /**
   * Compiles entries over `weights` and loads the weights that they use.
   * @param beside an open program of this model, all of whose variables the new one shares, such as a key-value cache
   */
  open(entries: Entries, beside?: Program): Promise<Program>;
  /** Frees a program; the weights stay while another one is open. */
  close(program: Program): void;
  /** Returns the programs of the same model with a LoRA adapter. They share the model's weights. */
  adapted(lora: LoraConfig, read: ReadWeight): ModelPrograms;
}

export interface ModelProgramsOptions extends CompileOptions {
  /** Adapters of the model, which the source has too. */
  readonly lora?: LoraConfig | null;
  /** The storage type of each parameter, in which the source returns it (`typedWeights`); default f32. */
  readonly types?: (name: string) => DType;
}

/** Variables with the programs that have them in memory. */
interface Pool {
  readonly source: WeightSource;
  readonly names: ReadonlySet<string>;
  /** The variables of each open program. */
  readonly programs: Map<Program, ReadonlySet<string>>;
}

export function modelPrograms(
  config: ModelConfig,
  source: WeightSource,
  { lora, types, ...options }: ModelProgramsOptions = {},
): ModelPrograms {
  // One at a time, so that the second program shares the weights that the first has read.
  let last: Promise<unknown> = Promise.resolve();

  const openNow = async (pools: readonly Pool[], entries: Entries, beside?: Program): Promise<Program> => {
    const used = variablesOf(entries);
    const shareWith: (Program | Sharing)[] = [];
    const toRead: { readonly name: string; readonly read: ReadWeight }[] = [];
    if (beside !== undefined) shareWith.push(beside);
    else {
      for (const { source, names, programs } of pools) {
        if (typeof source !== "function") {
          shareWith.push(source);
          continue;
        }
        const shared = new Map<Program, Record<string, string>>();
        for (const name of names) {
          if (!used.has(name)) continue;
          const holder = [...programs].find(([, variables]) => variables.has(name))?.[0];
          if (holder === undefined) toRead.push({ name, read: source });
          else shared.set(holder, { ...shared.get(holder), [name]: name });
        }
        for (const [program, variables] of shared) shareWith.push({ program, variables });
      }
    }
    const program = await compile(entries, { ...options, shareWith });
    try {
      for (const { name, read } of toRead) program.write(name, await read(name));
    } catch (error) {
      program.dispose();
      throw error;
    }
    for (const { programs } of pools) programs.set(program, used);
    return program;
  };
  const over = (weights: ModelVariables, pools: readonly Pool[]): ModelPrograms => ({
    weights,
    open(entries, beside) {
      const opened = last.then(() => openNow(pools, entries, beside));
      last = opened.catch(() => {});
      return opened;
    },
    close(program) {
      for (const { programs } of pools) programs.delete(program);
      program.dispose();
    },
    adapted(lora, read) {
      const adapted = withLora(config, weights, lora);
      const names = new Set([...namesOf(adapted)].filter((name) => !weights.has(name)));
      return over(adapted, [...pools, { source: read, names, programs: new Map() }]);
    },
  });
  const base = modelVariables(config, "", types);
  const weights = lora ? withLora(config, base, lora) : base;
  return over(weights, [{ source, names: namesOf(weights), programs: new Map() }]);
}

/** Returns the names of a model's variables. */
const namesOf = (weights: ModelVariables): ReadonlySet<string> =>
  new Set([...weights].flatMap(([name, { node }]) => (isOp(node, "variable") ? [name] : [])));

/** Returns the names of all variables in entries. */
const variablesOf = (entries: Entries): ReadonlySet<string> =>
  new Set(nodesOf(...Object.values(entries)).flatMap((node) => (isOp(node, "variable") ? [node.attributes.name] : [])));
