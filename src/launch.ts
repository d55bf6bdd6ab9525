/**
 * @file What started this process as one of several ranks: `quern … --ranks`, mpirun of Open MPI or MPICH, or srun. All of them
 * say so in the environment.
 */

/** This process among those that were started together. */
export interface Launch {
  readonly rank: number;
  readonly size: number;
  /** For people: the command that started the ranks. */
  readonly launcher: string;
  /** How the ranks find one another. */
  readonly by: LaunchedBy;
  /** While the ranks start, returns one that has already ended, if this process can know it; else null. */
  readonly lostAtStart?: () => number | null;
}

export type LaunchedBy =
  /** At a shared file, which rank 0 makes; `parent` is its process id. */
  | { readonly kind: "file"; readonly path: string; readonly parent: number }
  | { readonly kind: "mpi"; readonly mpi: "Open MPI" | "MPICH" }
  /** By `srun`. Without its option --mpi, `mpi` is null, and ranks can only share the memory of one node. */
  | { readonly kind: "slurm"; readonly job: string; readonly nodes: number; readonly mpi: "Open MPI" | "MPICH" | null };

/** What `--ranks` sets in the environment of the ranks that it starts. */
export const RANK_VARIABLES = {
  rank: "QUERN_RANK",
  size: "QUERN_RANKS",
  file: "QUERN_RANKS_FILE",
  parent: "QUERN_RANKS_PARENT",
} as const;

/** Returns how this process was started, or null if it is alone. */
export function launchOf(environment: NodeJS.ProcessEnv = process.env): Launch | null {
  const number = (name: string) => {
    const value = Number(environment[name] || Number.NaN);
    return Number.isInteger(value) && value >= 0 ? value : null;
  };
  const launched = (rank: string, size: string, launcher: string, by: LaunchedBy): Launch | null => {
    const [own, all] = [number(rank), number(size)];
    return own === null || all === null || all < 2 || own >= all ? null : { rank: own, size: all, launcher, by };
  };
  const path = environment[RANK_VARIABLES.file];
  if (path)
    return launched(RANK_VARIABLES.rank, RANK_VARIABLES.size, "--ranks", {
      kind: "file",
      path,
      parent: number(RANK_VARIABLES.parent) ?? process.ppid,
    });
  // Only tasks of a step have these: the script of a job has the job's number of tasks, but is alone.
  const { SLURM_JOB_ID: id, SLURM_STEP_ID: step, SLURM_RESTART_COUNT: restarts = "0" } = environment;
  if (id && step && number("SLURM_STEP_NUM_TASKS") !== null && environment.OMPI_COMM_WORLD_SIZE === undefined) {
    const mpi = environment.PMIX_RANK !== undefined ? "Open MPI" : environment.PMI_RANK !== undefined ? "MPICH" : null;
    const job = `${id}.${step}.${restarts}`;
    const nodes = number("SLURM_STEP_NUM_NODES") ?? 1;
    return launched("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "srun", { kind: "slurm", job, nodes, mpi });
  }
  return (
    launched("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "mpirun", { kind: "mpi", mpi: "Open MPI" }) ??
    launched("PMI_RANK", "PMI_SIZE", "mpirun", { kind: "mpi", mpi: "MPICH" })
  );
}
