/**
 * @file `npm run test:slurm`: tests the executor `slurm`, and training across nodes, on a real cluster of three nodes on this
 * machine, one of which is killed. Needs Debian's slurm-wlm, munge and mpich, which it installs if run as root; else it skips the test and says why.
 */
import { spawnSync } from "node:child_process";
import { build, install, requireNode, run, runTool } from "./steps.mjs";

requireNode();
const NEEDED = ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sacct", "mpirun.mpich"];
/** Each starts a cluster of its own. */
const TESTS = ["test/executors/cluster", "test/train/distributed/slurm-job"];
const path = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;
const has = (command) =>
  spawnSync("sh", ["-c", `command -v ${command}`], { env: { ...process.env, PATH: path } }).status === 0;
const missing = () => NEEDED.filter((command) => !has(command));

if (process.platform !== "linux") skip(`Slurm needs Linux, and this is ${process.platform}`);
if (missing().length > 0) {
  if (!has("apt-get"))
    skip(`${missing().join(", ")} not found, and no apt-get to install Debian's slurm-wlm, munge and mpich`);
  if (process.getuid() !== 0)
    skip(`${missing().join(", ")} not found; install with: sudo apt-get install slurm-wlm munge mpich`);
  console.log("installing slurm-wlm, munge and mpich (apt-get)");
  const apt = { DEBIAN_FRONTEND: "noninteractive" };
  const packages = ["install", "-y", "--no-install-recommends", "slurm-wlm", "munge", "mpich"];
  if (
    run("apt-get", packages, apt) !== 0 &&
    (run("apt-get", ["update"]) !== 0 || run("apt-get", packages, apt) !== 0)
  ) {
    skip("apt-get cannot install slurm-wlm, munge and mpich");
  }
  if (missing().length > 0) skip(`${missing().join(", ")} not found after installation`);
}
install();
const code = build();
process.exit(
  code === 0 ? runTool("vitest", ["run", "--no-file-parallelism", ...TESTS], { PATH: path, QUERN_SLURM: "1" }) : code,
);

function skip(why) {
  console.log(`test:slurm is skipped: ${why}`);
  process.exit(0);
}
