/** @file Permission to use the tile registers (AMX): Linux gives it to a process that asks, and ends one that has not asked. */
import koffi from "koffi";

const ARCH_PRCTL = 158;
const REQUEST = 0x1023;
/** The number of the tiles' state. */
const TILE_DATA = 18;

let permitted: boolean | undefined;

/** Asks once a process. False where the system refuses or there is none to ask. */
export function tilesPermitted(): boolean {
  permitted ??= request();
  return permitted;
}

function request(): boolean {
  if (process.platform !== "linux" || process.arch !== "x64") return false;
  try {
    const systemCall = koffi.load(null).func("long syscall(long number, long option, long state)");
    return systemCall(ARCH_PRCTL, REQUEST, TILE_DATA) === 0;
  } catch {
    return false;
  }
}
