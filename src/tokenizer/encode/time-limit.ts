/** @file Work that cannot be interrupted from within, such as a regular expression that backtracks, with a limit of time. */

interface VmModule {
  readonly Script: new (code: string) => { runInThisContext(options: { readonly timeout: number }): unknown };
}

const WORK = Symbol.for("quern.work");
let script: InstanceType<VmModule["Script"]> | undefined;

/**
 * The result of some work, or undefined if it is not done in time. Where there is no Node (in a browser) it has no limit.
 * @param milliseconds whole ones from 1 on
 */
export function withinTime<T>(work: () => T, milliseconds: number): T | undefined {
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
