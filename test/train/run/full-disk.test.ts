/** Tests a disk that fills up while a run saves: a small tmpfs in its own namespace, where the system allows that. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SLOW_BUILD } from "../../model/targets.js";

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const cli = join(root, "dist", "src", "cli.js");

const folder = mkdtempSync(join(tmpdir(), "quern-full-"));
const disk = join(folder, "disk");
mkdirSync(disk);
afterAll(() => rmSync(folder, { recursive: true }));

const inNamespace = (script: string) =>
  spawnSync("unshare", ["-rm", "sh", "-c", `mount -t tmpfs -o size=16m tmpfs ${disk} && ${script}`], {
    encoding: "utf8",
  });
const canMount = process.platform === "linux" && inNamespace("true").status === 0;

describe.runIf(canMount)("quern pretrain on a disk that fills up", { timeout: 2 * SLOW_BUILD }, () => {
  beforeAll(() => {
    const lines = Array.from(
      { length: 800 },
      (_, i) => `On day ${i} the mill ground ${(i * 37) % 101} sacks of grain.`,
    );
    writeFileSync(join(folder, "text.txt"), lines.join("\n"));
  });

  it("reports it once, keeps earlier checkpoints, and resumes once there is space", () => {
    const sizes =
      "--steps 60 --save-every 1 --keep 2 --layers 1 --width 32 --vocab-size 300 --sequence 16 --batch 2 --threads 1";
    const pretrain = (out: string) =>
      `${process.execPath} ${cli} pretrain --text ${folder}/text.txt --out ${out} ${sizes}`;
    const script = `
      ${pretrain(`${disk}/run`)} 2> ${folder}/errors > /dev/null &
      until [ -d ${disk}/run/checkpoints/3 ]; do kill -0 $! || exit 9; sleep .01; done
      head -c 64m /dev/zero > ${disk}/fill 2> /dev/null
      wait $!; echo "ended with $?"
      cat ${folder}/errors
      echo "there are" $(ls -A ${disk}/run/checkpoints)
      ${process.execPath} ${cli} generate --model ${disk}/run --prompt "On day" --tokens 4 --threads 1 > /dev/null && echo it generates
      rm ${disk}/fill
      ${pretrain(`${disk}/run`)} --resume > /dev/null 2>&1; echo "resumed with $?"`;
    const { stdout, stderr } = inNamespace(`{ ${script}\n}`);
    expect(stderr).toBe("");
    expect(stdout).toContain("ended with 1\n");
    expect(stdout.match(/^quern: .*$/gm)).toEqual([
      expect.stringMatching(/cannot write .*: the disk is full; free some space/),
    ]);
    expect(stdout).not.toContain("    at "); // no stack trace
    // Only complete checkpoints, no temporary ones.
    expect(/there are (.*)/.exec(stdout)?.[1]).toMatch(/^\d+( \d+)*$/);
    expect(stdout).toContain("it generates");
    expect(stdout).toContain("resumed with 0");
  });
});
