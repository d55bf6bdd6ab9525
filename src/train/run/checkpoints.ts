/**
 * @file Checkpoints of a run: the files of the model, and what a run needs to continue.
 *
 *     training_state.safetensors   optimizer state; only the newest two checkpoints keep it
 *     checkpoint.json              step, seconds, validation loss, and the checksum of every other file
 *
 * A checkpoint gets its final name only when it is complete, so a killed process never leaves half of one.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Program } from "../../backends/index.js";
import { removeLeftovers, temporaryName, writeFileAtomic, writeFolderAtomic } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import { checkpointPath, listCheckpoints, openSafetensors, writeSafetensors } from "../../model/index.js";
import type { StoredVariable } from "../optimizer/sharded.js";
import type { TrainableParameter } from "../trainer.js";
import { runPaths } from "./run-folder.js";

const STATE_FILE = "training_state.safetensors";
const RECORD_FILE = "checkpoint.json";

const recordSchema = z.object({
  step: z.int().min(1),
  seconds: z.number().min(0),
  /** Identity of the run. */
  run: z.string(),
  validation_loss: z.number().nullable(),
  /** SHA-256 of each file, in hexadecimal. */
  sha256: z.record(z.string(), z.string()),
});

export interface Checkpoint {
  readonly step: number;
  /** Seconds of training so far. */
  readonly seconds: number;
  /** Identity of the run, so that a checkpoint of another run is refused. */
  readonly run: string;
  readonly validationLoss: number | null;
}

/** How a trainer stores the parameters it trains: a whole model, or only the added and changed parameters. */
export interface CheckpointFormat {
  /** Writes the files of a model folder. */
  write(folder: string): Promise<void>;
  /** Restores the parameters in the program, bit for bit. */
  read(folder: string): Promise<void>;
}

/** What every checkpoint of a run contains. */
export interface Saved {
  readonly format: CheckpointFormat;
  readonly state: readonly StoredVariable[];
}

const TRAINABLE_FILE = "trainable.safetensors";

/** A format that stores only the trainable parameters, for trainers whose frozen parameters are stored elsewhere. */
export function trainableFormat(program: Program, trainable: readonly TrainableParameter[]): CheckpointFormat {
  return {
    write: (folder) =>
      writeVariables(
        join(folder, TRAINABLE_FILE),
        trainable.map(({ name, variable }) => ({ name, shape: variable.shape, read: () => program.read(name) })),
        {},
      ),
    read: (folder) =>
      readVariables(
        join(folder, TRAINABLE_FILE),
        trainable.map(({ name }) => ({ name, write: (values) => program.write(name, values) })),
      ),
  };
}

async function writeVariables(
  path: string,
  variables: readonly Omit<StoredVariable, "write">[],
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const tensors = variables.map(({ name, shape, read }) => ({
    ...{ name, shape, dtype: "F32" as const },
    data: read,
  }));
  await writeSafetensors(path, tensors, { metadata });
}

async function readVariables(path: string, variables: readonly Pick<StoredVariable, "name" | "write">[]) {
  const stored = await openSafetensors(path);
  try {
    for (const { name, write } of variables) write(await stored.readFloats(name));
  } finally {
    await stored.close();
  }
}

/**
 * Saves the variables of a training program and returns the checkpoint's path. Then removes the optimizer state of all but
 * the newest two checkpoints, because it is twice as large as the weights. With `keep`, removes all checkpoints except the
 * last `keep` and the best on held-out text.
 * @throws QuernError if the checkpoint cannot be written; existing checkpoints stay
 */
export async function saveCheckpoint(
  folder: string,
  { format, state }: Saved,
  { step, seconds, run, validationLoss }: Checkpoint,
  keep?: number,
): Promise<string> {
  const path = checkpointPath(folder, step);
  await writeFolderAtomic(path, async (temporary) => {
    await format.write(temporary);
    await writeVariables(join(temporary, STATE_FILE), state, { step: String(step) });
    const sha256: Record<string, string> = {};
    for (const name of (await readdir(temporary)).sort()) sha256[name] = await checksum(join(temporary, name));
    const record: z.output<typeof recordSchema> = { step, seconds, run, validation_loss: validationLoss, sha256 };
    await writeFileAtomic(join(temporary, RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`);
  });
  await prune(folder, keep);
  return path;
}

/** Returns the step of the checkpoint with the lowest validation loss, the first of equal ones; null if none has one. */
export async function bestCheckpoint(folder: string): Promise<number | null> {
  let best: { readonly step: number; readonly loss: number } | null = null;
  for (const step of await listCheckpoints(folder)) {
    const { validation_loss: loss } = await readRecord(folder, step);
    if (loss !== null && (best === null || loss < best.loss)) best = { step, loss };
  }
  return best?.step ?? null;
}

async function prune(folder: string, keep: number | undefined): Promise<void> {
  const steps = await listCheckpoints(folder);
  for (const old of steps.slice(0, -2)) await rm(join(checkpointPath(folder, old), STATE_FILE), { force: true });
  if (keep === undefined || steps.length <= keep) return;
  const best = await bestCheckpoint(folder);
  for (const step of steps.slice(0, -keep)) {
    if (step === best) continue;
    // Checkpoints with files that Quern did not write, such as an exported GGUF, stay.
    const names = await readdir(checkpointPath(folder, step));
    const written = new Set([RECORD_FILE, STATE_FILE, ...Object.keys((await readRecord(folder, step)).sha256)]);
    if (names.some((name) => !written.has(name))) continue;
    // Renamed first: a process killed during the removal must not leave half a checkpoint under its name.
    const path = checkpointPath(folder, step);
    const aside = temporaryName(path);
    await rename(path, aside);
    await rm(aside, { recursive: true, force: true });
  }
}

/**
 * Verifies the checksums of the newest checkpoint and restores it in a training program, bit for bit. Returns its record, or
 * null if the run has none.
 * @param at step of another checkpoint than the newest
 * @throws QuernError for a checkpoint that is truncated, edited, or belongs to another run
 */
export async function restoreCheckpoint(
  folder: string,
  run: string,
  { format, state }: Saved,
  at?: number,
): Promise<Checkpoint | null> {
  await removeLeftovers(runPaths(folder).checkpoints);
  const steps = await listCheckpoints(folder);
  const step = at ?? steps.at(-1);
  if (step === undefined) return null;
  if (!steps.includes(step)) throw new QuernError(`${folder} has no checkpoint of step ${step}; train the run again`);
  const path = checkpointPath(folder, step);
  const record = await readRecord(folder, step);
  const before = steps.at(-2);
  const remedy =
    before === undefined
      ? "remove it, and the run starts again"
      : `remove it, and the run continues from ${checkpointPath(folder, before)}`;
  if (record.step !== step) {
    throw new QuernError(`${path} contains step ${record.step}: it was renamed or swapped; ${remedy}`);
  }
  if (record.run !== run) throw new QuernError(`${path} belongs to another run; ${remedy}`);
  for (const name of new Set([STATE_FILE, ...Object.keys(record.sha256)])) {
    if ((await checksum(join(path, name))) !== record.sha256[name]) {
      throw new QuernError(`${join(path, name)} differs from what was saved: it was edited or truncated; ${remedy}`);
    }
  }
  await format.read(path);
  await readVariables(join(path, STATE_FILE), state);
  return { step, seconds: record.seconds, run, validationLoss: record.validation_loss };
}

/** Restores the optimizer's state alone, on a rank that follows rank 0; rank 0 has verified the checkpoint. */
export const restoreState = (path: string, state: Saved["state"]): Promise<void> =>
  readVariables(join(path, STATE_FILE), state);

async function readRecord(folder: string, step: number): Promise<z.output<typeof recordSchema>> {
  const path = join(checkpointPath(folder, step), RECORD_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw fileError(error, "read", path);
  }
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new QuernError(`${path} is damaged: it is not a checkpoint record`, { cause: error });
  }
}

async function checksum(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  } catch (error) {
    throw fileError(error, "read", path);
  }
  return hash.digest("hex");
}
