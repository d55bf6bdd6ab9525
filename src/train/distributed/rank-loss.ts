/** @file What people read when a rank is lost: which, on which node, and where the run continues. */
import { EndedElsewhereError, RankLostError } from "../../errors.js";
import { checkpointPath, listCheckpoints } from "../../model/index.js";

/** Adds the checkpoint that a run can continue from; without a run, the work has to start again. */
export async function withCheckpoint({ rank, node }: RankLostError, run: string | undefined): Promise<RankLostError> {
  if (run === undefined) return new RankLostError(rank, node, "; start again");
  const last = (await listCheckpoints(run).catch(() => [])).at(-1);
  const rest =
    last === undefined
      ? "; no checkpoint was saved before; start again"
      : `; the last good checkpoint is ${checkpointPath(run, last)}; continue with --resume`;
  return new RankLostError(rank, node, rest);
}

/** Whether an error is the loss of a rank, which this rank or another reports. */
export const isLoss = (error: unknown): boolean =>
  error instanceof RankLostError || (error instanceof EndedElsewhereError && error.cause instanceof RankLostError);
