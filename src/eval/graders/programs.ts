/**
 * @file Runs generated Python programs against their tests in the sandbox, and gives pass@k (Chen et al. 2021). The conditions are
 * those of the metric `code_eval`: a program fails by any exception, by leaving, and after three seconds.
 */
import { randomBytes } from "node:crypto";
import { QuernError } from "../../errors.js";
import { runInSandbox, type SandboxOptions } from "../../executors/index.js";
import { passAtK } from "../harness/pass-at-k.js";

/** The programs for one problem. */
export interface ProgramProblem {
  readonly programs: readonly string[];
  /** Code that runs after a program and fails by an exception. */
  readonly test: string;
}

export interface ProgramOptions extends Pick<SandboxOptions, "allowCode" | "memory" | "signal"> {
  /** Seconds that a program may take. Default 3. */
  readonly seconds?: number;
  /** Programs that run at the same time. Default 4. */
  readonly workers?: number;
}

/** Seconds for the interpreter to start, and for what the timer inside of the program cannot interrupt. */
const GRACE = 7;

/**
 * The mark is a secret of this run, so that a program cannot print it by accident. Names that stop processes or change files
 * are taken away, so that a program fails here as in `code_eval`.
 */
const RUNNER = `
import builtins, io, json, os, shutil, signal, subprocess, sys
mark = sys.stdin.readline().strip()
with open("work.json", encoding="utf-8") as file:
    work = json.load(file)
out = sys.stdout
class Silent(io.StringIO):
    def read(self, *_):
        raise OSError("programs have no input")
    readline = readlines = read
    def readable(self):
        return False
class TimeIsUp(Exception):
    pass
def stop(*_):
    raise TimeIsUp("time is up")
for owner, names in [
    (builtins, "exit quit help"),
    (os, "kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames truncate replace unlink "
         "fchmod fchown chmod chown chroot lchflags lchmod lchown getcwd chdir"),
    (shutil, "rmtree move chown"),
    (subprocess, "Popen"),
]:
    for name in names.split():
        setattr(owner, name, None)
for name in "ipdb joblib resource psutil tkinter".split():
    sys.modules[name] = None
sys.stdin, sys.stdout, sys.stderr = Silent(), Silent(), Silent()
signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, work["seconds"])
try:
    exec(work["code"], {})
except BaseException as error:
    sys.__stderr__.write(f"{type(error).__name__}: {error}\\n")
else:
    signal.setitimer(signal.ITIMER_REAL, 0)
    out.write(f"\\n{mark} passed\\n")
    out.flush()
`;

/**
 * Returns for each program whether it passes.
 * @throws QuernError if `python3` is missing, or if the system cannot isolate code and `allowCode` is not set
 */
export async function runPrograms(problem: ProgramProblem, options: ProgramOptions = {}): Promise<readonly boolean[]> {
  const { programs, test } = problem;
  const passed = new Map<string, boolean>();
  const waiting = [...new Set(programs)].reverse();
  const work = async (): Promise<void> => {
    for (let program = waiting.pop(); program !== undefined; program = waiting.pop()) {
      passed.set(program, await passes(`${program}\n${test}`, options));
    }
  };
  await Promise.all(Array.from({ length: options.workers ?? 4 }, work));
  return programs.map((program) => passed.get(program)!);
}

async function passes(code: string, { seconds = 3, allowCode, memory, signal }: ProgramOptions): Promise<boolean> {
  const mark = randomBytes(12).toString("hex");
  const program = { language: "python", code: RUNNER, input: `${mark}\n` } as const;
  const limits = { allowCode, memory, signal, seconds: seconds + GRACE, cpuSeconds: Math.ceil(seconds) + 2 };
  const files = { "work.json": JSON.stringify({ code, seconds }) };
  const { stdout } = await runInSandbox({ ...program, files }, limits);
  return stdout.split("\n").includes(`${mark} passed`);
}

/**
 * Returns pass@k over problems, by `pass@k`. A k above the number of programs of any problem is left out, as in `code_eval`.
 * @throws QuernError as `runPrograms`, and without problems
 */
export async function passRates(
  problems: readonly ProgramProblem[],
  k: readonly number[],
  options: ProgramOptions = {},
): Promise<Readonly<Record<string, number>>> {
  if (problems.length === 0) throw new QuernError("pass@k needs at least one problem");
  const counts: (readonly [total: number, passed: number])[] = [];
  for (const problem of problems) {
    const passed = await runPrograms(problem, options);
    counts.push([passed.length, passed.filter(Boolean).length]);
  }
  return Object.fromEntries(
    k
      .filter((count) => counts.every(([total]) => total >= count))
      .map((count) => {
        const sum = counts.reduce((all, [total, passed]) => all + passAtK(total, passed, count), 0);
        return [`pass@${count}`, sum / counts.length];
      }),
  );
}

/** A problem of HumanEval (Chen et al. 2021): the head of a function, and a test that defines `check`. */
export interface HumanEvalProblem {
  readonly task_id: string;
  readonly prompt: string;
  readonly test: string;
  readonly entry_point: string;
}

/** Code that continues the prompt of a problem. */
export interface HumanEvalSample {
  readonly task_id: string;
  readonly completion: string;
}

/**
 * Returns pass@k of samples in the form of OpenAI's `human-eval`: {task_id, completion}. Problems without a sample do not count.
 * @param k default [1]
 * @throws QuernError for a sample of an unknown problem, and as `runPrograms`
 */
export async function humanEvalPassRates(
  problems: readonly HumanEvalProblem[],
  samples: readonly HumanEvalSample[],
  { k = [1], ...options }: ProgramOptions & { readonly k?: readonly number[] } = {},
): Promise<Readonly<Record<string, number>>> {
  const byId = new Map(problems.map((problem) => [problem.task_id, problem]));
  const programs = new Map<string, string[]>();
  for (const { task_id, completion } of samples) {
    const problem = byId.get(task_id);
    if (problem === undefined) throw new QuernError(`a sample has the task_id ${task_id}, which no problem has`);
    const list = programs.get(task_id) ?? [];
    programs.set(task_id, [...list, problem.prompt + completion]);
  }
  return passRates(
    [...programs].map(([id, list]) => {
      const { test, entry_point } = byId.get(id)!;
      return { programs: list, test: `${test}\ncheck(${entry_point})` };
    }),
    k,
    options,
  );
}
