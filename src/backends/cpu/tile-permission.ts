/**
 * @file Requests permission to use the tile registers (AMX). Linux grants it on request, and kills a process that uses
 * them without permission.
 */
import koffi from "koffi";

const ARCH_PRCTL = 158;
const REQUEST = 0x1023;
/** Number of the tile data in the processor's extended state. */
const TILE_DATA = 18;

let permitted: boolean | undefined;

/** Requests permission once per process. Returns false if the system refuses or has no such request. */
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
