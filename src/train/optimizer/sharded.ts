/**
 * @file The optimizer of one of several ranks that divide its state (ZeRO stages 1 and 2). It is a program of its own: it updates
 * this rank's pieces of the weights in place, in the memory of the training program, and has the state of those pieces alone.
 */
import { type CompileOptions, compile, type Program, withMemory } from "../../backends/index.js";
import { add, type Entry, mul, scalar, sum, variable } from "../../tensor/index.js";
import type { Ranks } from "../distributed/ranks.js";
import {
  gradientName,
  type OptimizerOptions,
  optimizerAssignments,
  type StateVariable,
  stateNames,
  type Updatable,
} from "./optimizer.js";
import { type Piece, shareOut } from "./shares.js";

/** What ranks divide: 1, the optimizer's state; 2, the gradients too. */
export type ShardingStage = 1 | 2;

export interface ShardedOptimizer {
  readonly stage: ShardingStage;
  /** The pieces of all ranks. */
  readonly pieces: readonly Piece[];
  /** Bytes of this rank's program: state, and in stage 2 gradients. */
  readonly bytes: number;
  /** Stage 2: sets the gradient of this rank's piece of a parameter, or adds to it. */
  add(parameter: string, gradient: Float32Array, isFirst: boolean): void;
  /** Takes a step with the summed gradients of this rank's pieces; returns the global norm. The other ranks' weights stay. */
  update(ranks: Ranks, scalars: Readonly<Record<string, number>>): Promise<number>;
  /** The whole of a state variable, on rank 0; others contribute, and get an empty array. All ranks call it. */
  read(ranks: Ranks, state: string): Promise<Float32Array>;
  /** Sets this rank's pieces of a state variable, from the whole of it. */
  write(state: string, whole: Float32Array): void;
  /** Sets this rank's state to 0. */
  reset(): void;
  dispose(): void;
}

export interface ShardingOptions {
  readonly stage: ShardingStage;
  readonly optimizer: OptimizerOptions;
  readonly ranks: Pick<Ranks, "rank" | "size">;
  readonly compileOptions: CompileOptions;
}

/** Compiles this rank's part of the optimizer beside the training program, whose weights it updates. */
export async function compileSharded(
  training: Program,
  trainable: readonly Updatable[],
  { stage, optimizer, ranks: { rank, size }, compileOptions }: ShardingOptions,
): Promise<ShardedOptimizer> {
  const pieces = shareOut(trainable, optimizer, size);
  const own = new Map(pieces.filter(({ owner }) => owner === rank).map((piece) => [piece.name, piece]));
  const states = new Map<string, Piece | undefined>();
  for (const parameter of trainable) {
    for (const state of stateNames(parameter, optimizer)) states.set(state, own.get(parameter.name));
  }
  const parameterOf = new Map(
    trainable.flatMap((parameter) => stateNames(parameter, optimizer).map((state) => [state, parameter.name] as const)),
  );
  const parts = trainable.flatMap((parameter) => {
    const piece = own.get(parameter.name);
    if (piece === undefined) return [];
    const { shape } = parameter.variable;
    // Weight decay is for matrices, so a piece of a matrix has two dimensions.
    const isWhole = piece.length === shape.reduce((a, b) => a * b, 1);
    const partShape = isWhole ? shape : shape.length >= 2 ? [1, piece.length] : [piece.length];
    return [
      {
        ...parameter,
        variable: variable(parameter.name, partShape),
        gradient: variable(gradientName(parameter.name), partShape),
      },
    ];
  });
  const program = parts.length === 0 ? null : await compileOwn();

  async function compileOwn(): Promise<Program> {
    const squares = parts.map(({ gradient }) => sum(mul(gradient, gradient)));
    const entries: Record<string, Entry> = {
      norm: { outputs: { square: squares.reduce((a, b) => add(a, b)) } },
      update: { outputs: {}, assign: optimizerAssignments(parts, scalar("gradient_norm"), optimizer) },
    };
    const { threads, target, dtype } = training.plan;
    const shared = parts.flatMap(({ name }) => {
      const { from } = own.get(name) as Piece;
      const names = stage === 1 ? [name, gradientName(name)] : [name];
      return names.map((shared) => [shared, { name: shared, from }] as const);
    });
    return compile(entries, {
      ...compileOptions,
      cpu: { threads, instructionSet: target },
      dtype,
      shareWith: { program: training, variables: Object.fromEntries(shared) },
    });
  }

  // The training program and this one share the weights, so they take turns. But gradients come while the other runs.
  const gradientNames = stage === 2 ? parts.map(({ name }) => gradientName(name)) : [];
  const memory = program === null ? [] : await withMemory(program, gradientNames, async (views) => views);
  const gradients = new Map(memory.map((values, i) => [parts[i].name, values] as const));

  return {
    stage,
    pieces,
    add(parameter, gradient, isFirst) {
      const sum = gradients.get(parameter) as Float32Array;
      if (isFirst) sum.set(gradient);
      else for (let i = 0; i < sum.length; i++) sum[i] += gradient[i];
    },
    bytes: program?.plan.arenaBytes ?? 0,
    async update(ranks, scalars) {
      await program?.run("norm");
      const square = program === null ? 0 : (await program.read("square"))[0];
      const squares = await ranks.gatherNumbers([square]);
      const norm = Math.sqrt(squares.reduce((total, [each]) => total + each, 0));
      // A value that is not finite is the loop's to report; the weights are lost then in any case.
      await program?.run("update", { ...scalars, gradient_norm: norm });
      return norm;
    },
    async read(ranks, state) {
      const name = parameterOf.get(state) as string;
      const parts = pieces.filter((piece) => piece.name === name);
      const whole = new Float32Array(rank === 0 ? parts.reduce((total, { length }) => total + length, 0) : 0);
      for (const { owner, from, length } of parts) {
        const part = owner === rank ? await (program as Program).read(state) : new Float32Array(length);
        if (owner !== 0) await ranks.broadcast([part], owner);
        if (rank === 0) whole.set(part, from);
      }
      return whole;
    },
    write(state, whole) {
      const piece = states.get(state);
      if (piece !== undefined) program?.write(state, whole.slice(piece.from, piece.from + piece.length));
    },
    reset() {
      for (const [state, piece] of states) if (piece) program?.write(state, (values) => void values.fill(0));
    },
    dispose: () => program?.dispose(),
  };
}

/** State variables as they are stored: each whole, whichever ranks have it. */
export interface StoredVariable extends StateVariable {
  /** Returns the variable; with divided state, all ranks must call it in the same order, and rank 0 gets the values. */
  read(): Promise<Float32Array>;
  /** Sets the variable, or this rank's pieces of it. */
  write(values: Float32Array): void;
}
