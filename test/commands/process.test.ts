/** The built command line as a process: behaviour that only a real process shows. */
import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const cli = join(root, "dist", "src", "cli.js");
const doctor = `"${process.execPath}" "${cli}" doctor --no-measure`;

const shell = (command: string, environment: NodeJS.ProcessEnv = {}) =>
  spawnSync("sh", ["-c", command], { encoding: "utf8", env: { ...process.env, ...environment } });

describe("quern as a process", () => {
  it("prints one JSON object as the last line under --json", async () => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [cli, "doctor", "--no-measure", "--json"]);
    expect(JSON.parse(stdout.trimEnd().split("\n").at(-1) as string)).toHaveProperty("processor");
    expect(stderr).toBe("");
  });

  it("exits with 2 and one line when the call is wrong", () => {
    const { status, stdout, stderr } = shell(`${doctor} --mesure`);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toBe("quern: unknown flag --mesure; did you mean --no-measure? (see quern doctor --help)\n");
  });

  it("ends quietly when its reader has exited", () => {
    const { status, stdout, stderr } = shell(`${doctor} | head -c 1`);
    expect([status, stdout.length, stderr]).toEqual([0, 1, ""]);
  });

  it.runIf(existsSync("/dev/full"))("reports a full disk", () => {
    const { status, stderr } = shell(`${doctor} > /dev/full`);
    expect(status).toBe(1);
    expect(stderr).toBe("quern: cannot write standard output: the disk is full\n");
  });

  it("names the missing compiler that QUERN_CC requests", () => {
    const { status, stderr } = shell(doctor, { QUERN_CC: "no-such-cc" });
    expect(status).toBe(2);
    expect(stderr).toMatch(/^quern: cannot run the C compiler "no-such-cc" \(from QUERN_CC\); .+\n$/);
  });
});
