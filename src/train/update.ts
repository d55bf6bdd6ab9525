/** @file The end of a training step: gradients are clipped by their global norm, and the weights updated. */
import { withMemory } from "../backends/index.js";
import type { ShardedOptimizer } from "./optimizer/sharded.js";
import type { TrainingProgram } from "./trainer.js";

/** Updates the weights on all ranks, and returns the global gradient norm before clipping. */
export async function update(training: TrainingProgram, scalars: Readonly<Record<string, number>>): Promise<number> {
  const { program, sharded } = training;
  if (sharded !== null) return updateSharded(training, sharded, scalars);
  await program.run("update", scalars);
  return (await program.read("gradient_norm"))[0];
}

/** Each rank updates its pieces of the weights, and gives them to the others. */
async function updateSharded(
  { program, ranks }: TrainingProgram,
  sharded: ShardedOptimizer,
  scalars: Readonly<Record<string, number>>,
): Promise<number> {
  const norm = await sharded.update(ranks, scalars);
  const { pieces } = sharded;
  const names = [...new Set(pieces.map(({ name }) => name))];
  await withMemory(program, names, (memory) => {
    const of = new Map(names.map((name, i) => [name, memory[i]] as const));
    return ranks.allGather(
      pieces.map(({ name, from, length }) => (of.get(name) as Float32Array).subarray(from, from + length)),
      pieces.map(({ owner }) => owner),
    );
  });
  return norm;
}
