import { describe, expect, it } from "vitest";
import { launchOf } from "../../../src/launch.js";

describe("launchOf", () => {
  it("finds the ranks of mpirun and srun in the environment", () => {
    expect(launchOf({ OMPI_COMM_WORLD_RANK: "1", OMPI_COMM_WORLD_SIZE: "4" })).toEqual({
      ...{ rank: 1, size: 4, launcher: "mpirun", by: { kind: "mpi", mpi: "Open MPI" } },
    });
    expect(launchOf({ PMI_RANK: "0", PMI_SIZE: "2" })).toMatchObject({ rank: 0, size: 2, by: { mpi: "MPICH" } });
    const step = { SLURM_JOB_ID: "7", SLURM_STEP_ID: "0", SLURM_STEP_NUM_TASKS: "3", SLURM_PROCID: "2" };
    expect(launchOf({ ...step, PMIX_RANK: "2", SLURM_STEP_NUM_NODES: "2" })).toEqual({
      ...{ rank: 2, size: 3, launcher: "srun", by: { kind: "slurm", job: "7.0.0", nodes: 2, mpi: "Open MPI" } },
    });
    expect(launchOf(step)?.by).toEqual({ kind: "slurm", job: "7.0.0", nodes: 1, mpi: null });
  });

  it("takes a process for alone without a launcher, with one task, and in the script of a job", () => {
    expect(launchOf({})).toBeNull();
    expect(launchOf({ OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "1" })).toBeNull();
    expect(launchOf({ PMI_RANK: "0", PMI_SIZE: "" })).toBeNull();
    expect(launchOf({ SLURM_JOB_ID: "7", SLURM_PROCID: "0", SLURM_NTASKS: "4" })).toBeNull();
  });
});
