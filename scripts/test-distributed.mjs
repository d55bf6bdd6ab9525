/**
 * @file `npm run test:distributed`: trains with several ranks by Open MPI and by MPICH, and kills some. Installs Debian's packages if
 * run as root; else it skips what is missing and says why.
 */
import { spawnSync } from "node:child_process";
import { build, install, requireNode, run, runTool } from "./steps.mjs";

requireNode();
/** Debian names the launchers so that both can be installed. */
const MPIS = [
  { launcher: "mpirun.openmpi", packages: ["openmpi-bin", "libopenmpi3"] },
  { launcher: "mpirun.mpich", packages: ["mpich", "libmpich12"] },
];
const has = (command) => spawnSync("sh", ["-c", `command -v ${command}`]).status === 0;

if (process.platform !== "linux") skip(`it finds ranks in /proc, which ${process.platform} lacks`);
for (const { launcher, packages } of MPIS) {
  if (has(launcher) || !has("apt-get") || process.getuid() !== 0) continue;
  console.log(`installing ${packages.join(" and ")} (apt-get)`);
  const environment = { DEBIAN_FRONTEND: "noninteractive" };
  const command = ["install", "-y", "--no-install-recommends", ...packages];
  if (run("apt-get", command, environment) !== 0 && run("apt-get", ["update"]) === 0)
    run("apt-get", command, environment);
}
const found = MPIS.filter(({ launcher }) => has(launcher));
for (const { launcher, packages } of MPIS) {
  if (!has(launcher))
    console.log(`skipped: ${launcher} not found; install with: sudo apt-get install ${packages.join(" ")}`);
}
if (found.length === 0) skip("no MPI");
install();
const code = build();
const launchers = found.map(({ launcher }) => launcher).join(",");
process.exit(
  code === 0 ? runTool("vitest", ["run", "test/train/distributed"], { QUERN_TEST_MPIRUN: launchers }) : code,
);

function skip(why) {
  console.log(`test:distributed is skipped: ${why}`);
  process.exit(0);
}
