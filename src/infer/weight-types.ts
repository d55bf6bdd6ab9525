/** @file How a model's matrices are stored in memory while it runs. Vectors and GPT-2's positions are always f32. */
import type { Written } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { type Parameter, parametersOf, quantiseRows, type StoredModel } from "../model/index.js";
import { BLOCKS, type DType, isBlocked } from "../tensor/index.js";
import { WEIGHT_TYPES, type WeightType } from "./weight-type.js";

export interface TypedWeights {
  /** The storage type of a parameter. */
  readonly types: (name: string) => DType;
  /** Reads a parameter in its storage type. */
  readonly source: (name: string) => Promise<Written>;
}

/** GGUF's names of the types that weights are converted to. */
const FILE_TYPES = { bf16: "BF16", f16: "F16", q8_0: "Q8_0", q4_0: "Q4_0", q4_k: "Q4_K", q6_k: "Q6_K" } as const;

/**
 * Returns the storage types and the source of a model's weights. With `stored`, matrices keep the blocks of a GGUF file, without
 * loss.
 * @throws QuernError if rows are not whole blocks, or the model is not a GGUF file
 */
export function typedWeights(model: StoredModel, weights: WeightType): TypedWeights {
  const matrices = new Map(parametersOf(model.config).flatMap((each) => (isMatrix(each) ? [[each.name, each]] : [])));
  if (weights === "f32") return { types: () => "f32", source: model.readParameter };
  if (weights === "stored") {
    const { storedType, readStored } = model;
    if (storedType === undefined || readStored === undefined) {
      const others = WEIGHT_TYPES.filter((type) => type !== "stored").join(", ");
      throw new QuernError(
        `${model.path} has no stored blocks: weights can be "stored" only for a .gguf file; use ${others}`,
        {
          exitCode: 2,
        },
      );
    }
    const types = (name: string) => (matrices.has(name) ? storedType(name) : "f32");
    return { types, source: (name) => (types(name) === "f32" ? model.readParameter(name) : readStored(name)) };
  }
  if (isBlocked(weights)) requireWholeBlocks(weights, matrices.values());
  return {
    types: (name) => (matrices.has(name) ? weights : "f32"),
    async source(name) {
      const values = await model.readParameter(name);
      const matrix = matrices.get(name);
      return matrix === undefined ? values : quantiseRows(values, matrix.shape[1], FILE_TYPES[weights]);
    },
  };
}

const isMatrix = ({ kind, name }: Parameter) => kind !== "vector" && name !== "transformer.wpe.weight";

function requireWholeBlocks(dtype: keyof typeof BLOCKS, matrices: Iterable<Parameter>): void {
  const { values } = BLOCKS[dtype];
  for (const { name, shape } of matrices) {
    if (shape[1] % values === 0) continue;
    throw new QuernError(
      `weights ${dtype} need rows of whole blocks of ${values} values, but those of ${name} have ${shape[1]}; use ` +
        (shape[1] % 32 === 0 ? "q8_0 or q4_0" : "f16 or bf16"),
      { exitCode: 2 },
    );
  }
}
