/**
 * @file A fake Slurm of five shell scripts and a folder. Submitted jobs become files with lines of squeue's format, and the
 * test plays the machines. Elements run in this process.
 */
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { vi } from "vitest";
import { runElement } from "../../src/executors/index.js";

const SCRIPTS = {
  sbatch: `
for script; do :; done
if [ -f sbatch-says ]; then cat sbatch-says >&2; rm sbatch-says; exit 1; fi
id=$(($(cat next) + 1)); echo $id > next
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
for element in $(seq 0 $last); do echo "$id|$element|PENDING||Priority"; done > job-$id
sed -n 's/^#SBATCH --job-name=//p' "$script" > name-$id
cp "$script" coming && mv coming script-$id
echo $id`,
  squeue: `
for argument; do case $argument in
--name=*) for file in name-*; do [ "$(cat $file)" = "\${argument#--name=}" ] && echo "\${file#name-}"; done; exit 0 ;;
--jobs=*) jobs=$(echo "\${argument#--jobs=}" | tr , ' ') ;;
esac; done
for id in $jobs; do [ -f job-$id ] && { cat job-$id; found=1; }; done
[ "$found" ] || { echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1; }`,
  scancel: `
for id; do [ $id = --quiet ] && continue; [ -f job-$id ] && sed -i 's/|PENDING|/|CANCELLED|/; s/|RUNNING|/|CANCELLED|/' job-$id; echo $id >> cancelled; done
exit 0`,
  sacct: `
[ -f accounting ] && exec cat accounting
echo 'Slurm accounting storage is disabled' >&2; exit 1`,
  scontrol: `echo "MaxArraySize            = $(cat array-size)"`,
};

export interface Turn {
  readonly job: string;
  readonly element: number;
  readonly submission: string;
  readonly stage: string;
  /** Runs the element's tasks here, as node `node`. */
  run(node?: string): Promise<void>;
  /** Sets the element's state in squeue's output. */
  set(state: string, node?: string, reason?: string): void;
}

export class FakeSlurm {
  readonly folder: string;
  /** What the machines do with an element; by default they run its tasks. */
  play: (turn: Turn) => Promise<void> = async (turn) => turn.run();
  #stopped = false;
  #playing: Promise<void>;

  constructor(folder: string, arraySize = 1001) {
    this.folder = folder;
    mkdirSync(join(folder, "bin"), { recursive: true });
    for (const [name, body] of Object.entries(SCRIPTS)) {
      const path = join(folder, "bin", name);
      writeFileSync(path, `#!/bin/sh\ncd '${folder}'\n${body}\n`);
      chmodSync(path, 0o755);
    }
    this.write("next", "0\n");
    this.write("array-size", `${arraySize}\n`);
    vi.stubEnv("PATH", `${join(folder, "bin")}${delimiter}${process.env.PATH}`);
    this.#playing = this.#work();
  }

  write(name: string, text: string): void {
    // Atomic, because other processes read the file.
    writeFileSync(join(this.folder, `${name}.coming`), text);
    renameSync(join(this.folder, `${name}.coming`), join(this.folder, name));
  }

  read(name: string): string {
    return existsSync(join(this.folder, name)) ? readFileSync(join(this.folder, name), "utf8") : "";
  }

  /** Numbers of the submitted jobs. */
  get jobs(): string[] {
    return readdirSync(this.folder)
      .flatMap((name) => /^script-(\d+)$/.exec(name)?.[1] ?? [])
      .sort((a, b) => Number(a) - Number(b));
  }

  script(job: string): string {
    return this.read(`script-${job}`);
  }

  /** Removes a job from the queue. */
  forget(job: string): void {
    this.write(`job-${job}`, "");
    appendFileSync(join(this.folder, "forgotten"), `${job}\n`);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#playing;
  }

  #lines(job: string): string[][] {
    return this.read(`job-${job}`)
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.split("|"));
  }

  #set(job: string, element: number, state: string, node: string, reason: string): void {
    const lines = this.#lines(job).map((line) =>
      line[1] === String(element) ? [job, String(element), state, node, reason] : line,
    );
    this.write(`job-${job}`, lines.map((line) => `${line.join("|")}\n`).join(""));
  }

  /** Runs waiting elements, one after the other, once the jobs they depend on have ended. */
  async #work(): Promise<void> {
    while (!this.#stopped) {
      for (const job of this.jobs) {
        const script = this.script(job);
        const states = (id: string) => this.#lines(id).map(([, , state]) => state);
        const needs = [...script.matchAll(/(afterok|afterany):(\d+)/g)];
        const over = (id: string) => states(id).every((state) => !["PENDING", "RUNNING"].includes(state));
        const failed = needs.some(
          ([, how, id]) => how === "afterok" && over(id) && states(id).some((s) => s !== "COMPLETED"),
        );
        for (const [, element, state] of this.#lines(job)) {
          if (state !== "PENDING") continue;
          if (failed) this.#set(job, Number(element), "CANCELLED", "", "DependencyNeverSatisfied");
          else if (needs.every(([, , id]) => over(id))) await this.#turn(job, Number(element), script);
        }
      }
      await sleep(5);
    }
  }

  async #turn(job: string, element: number, script: string): Promise<void> {
    const submission = (/data task (\S+)/.exec(script) as RegExpExecArray)[1];
    let set = false;
    await this.play({
      job,
      element,
      submission,
      stage: (/--job-name=quern-([a-z]+)/.exec(script) as RegExpExecArray)[1],
      run: async (node = "n1") => {
        set = true;
        this.#set(job, element, "RUNNING", node, "None");
        process.env.SLURMD_NODENAME = node;
        try {
          await runElement({ submission, element });
          this.#set(job, element, "COMPLETED", node, "None");
        } catch {
          this.#set(job, element, "FAILED", node, "NonZeroExitCode");
        } finally {
          delete process.env.SLURMD_NODENAME;
        }
      },
      set: (state, node = "", reason = "None") => {
        set = true;
        this.#set(job, element, state, node, reason);
      },
    });
    if (!set) await sleep(5);
  }
}
