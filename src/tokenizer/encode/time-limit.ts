/** @file A time limit for synchronous work that cannot check the time itself, such as a backtracking regular expression. */

interface VmModule {
  readonly Script: new (code: string) => { runInThisContext(options: { readonly timeout: number }): unknown };
}

const WORK = Symbol.for("quern.work");
let script: InstanceType<VmModule["Script"]> | undefined;

/**
 * Runs `work` and returns its result, or undefined if it exceeds the limit. Without Node (in a browser) there is no limit.
 * @param milliseconds rounded up to whole milliseconds, at least 1
 */
export function runWithTimeLimit<T>(work: () => T, milliseconds: number): T | undefined {
  const vm = globalThis.process?.getBuiltinModule?.("node:vm") as VmModule | undefined;
  if (vm === undefined) return work();
  script ??= new vm.Script('globalThis[Symbol.for("quern.work")]()');
  const holder = globalThis as { [WORK]?: () => unknown };
  const before = holder[WORK];
  holder[WORK] = work;
  try {
    return script.runInThisContext({ timeout: Math.max(1, Math.ceil(milliseconds)) }) as T;
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return undefined;
    throw error;
  } finally {
    holder[WORK] = before;
  }
}
