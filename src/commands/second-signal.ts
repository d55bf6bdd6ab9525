/**
 * @file The second Ctrl-C. Node delivers signals through the event loop, so a synchronous loop blocks them, and worker
 * threads cannot listen. SA_RESETHAND (POSIX.1-2017, sigaction) makes the kernel drop the handler when it is first called:
 * the next signal ends the process, whatever it is doing.
 */

/** Byte offset of the flags in `struct sigaction`, and SA_RESETHAND, by `process.platform`; 64-bit systems. */
const LAYOUTS: Partial<Record<NodeJS.Platform, { readonly flags: number; readonly resetHandler: number }>> = {
  linux: { flags: 136, resetHandler: 0x8000_0000 }, // glibc and musl: handler 8, mask 128
  darwin: { flags: 12, resetHandler: 0x4 }, // handler 8, mask 4
};
const STRUCT_BYTES = 192; // larger than on any of these systems

/**
 * Makes the second signal of each number end the process at once; JavaScript must already listen for it. Without foreign
 * calls, or on Windows, nothing changes: a second signal ends the process at the next turn of its event loop.
 * @param signals signal numbers
 */
export async function endOnSecond(signals: readonly number[]): Promise<void> {
  const layout = LAYOUTS[process.platform];
  if (layout === undefined) return;
  try {
    const { default: koffi } = await import("koffi");
    const sigaction = koffi.load(null).func("int sigaction(int signal, const void *action, void *before)");
    for (const signal of signals) {
      const action = Buffer.alloc(STRUCT_BYTES);
      if (sigaction(signal, null, action) !== 0) continue;
      const flags = action.readUInt32LE(layout.flags);
      action.writeUInt32LE((flags | layout.resetHandler) >>> 0, layout.flags);
      sigaction(signal, action, null);
    }
  } catch {
    // koffi does not support this platform.
  }
}
