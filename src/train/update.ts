/** @file The end of a training step: gradients are summed over the ranks, clipped by their global norm, and the weights updated. */
import { type Program, withMemory } from "../backends/index.js";
import { gradientName } from "./optimizer/optimizer.js";
import type { ShardedOptimizer } from "./optimizer/sharded.js";
import type { TrainingProgram } from "./trainer.js";

/** Updates the weights on all ranks, and returns the global gradient norm before clipping. */
export async function update(training: TrainingProgram, scalars: Readonly<Record<string, number>>): Promise<number> {
  const { program, ranks, trainable, sharded } = training;
  if (sharded !== null) return updateSharded(training, sharded, scalars);
  if (ranks.size > 1) {
    const gradients = trainable.map(({ name }) => gradientName(name));
    await withMemory(program, gradients, (memory) => ranks.allReduce(memory));
  }
  await program.run("update", scalars);
  return (await program.read("gradient_norm"))[0];
}

/** Each rank gets the sums of its pieces of the gradients, updates its pieces of the weights, and gives them to the others. */
async function updateSharded(
  { program, ranks }: TrainingProgram,
  sharded: ShardedOptimizer,
  scalars: Readonly<Record<string, number>>,
): Promise<number> {
  const { pieces } = sharded;
  const owners = pieces.map(({ owner }) => owner);
  await withPieces(program, pieces, gradientName, (memory) => ranks.reduceScatter(memory, owners));
  const norm = await sharded.update(ranks, scalars);
  await withPieces(
    program,
    pieces,
    (name) => name,
    (memory) => ranks.allGather(memory, owners),
  );
  return norm;
}

/** Runs `work` on the memory of pieces of some variables. */
function withPieces<T>(
  program: Program,
  pieces: ShardedOptimizer["pieces"],
  variableOf: (parameter: string) => string,
  work: (memory: readonly Float32Array[]) => Promise<T>,
): Promise<T> {
  const names = [...new Set(pieces.map(({ name }) => name))];
  return withMemory(program, names.map(variableOf), (memory) => {
    const of = new Map(names.map((name, i) => [name, memory[i]] as const));
    return work(pieces.map(({ name, from, length }) => (of.get(name) as Float32Array).subarray(from, from + length)));
  });
}
