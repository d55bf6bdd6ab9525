/** @file Why a task was lost, and what that says of the node. */
import type { ElementState } from "./queue.js";

/** Why a task was lost, as a person should read it. */
export function lossOf(state: ElementState | undefined, host: string | undefined): string {
  const where = host === undefined ? "" : ` on ${host}`;
  if (state === undefined) return `left the queue${where} without a result or a word of why`;
  if (state.phase === "completed") return `ended${where} without a result; do all nodes see the folder?`;
  return `lost${where}: ${state.state}${state.reason === undefined ? "" : `, ${state.reason}`}`;
}

/** Whether another node may do better. */
export const isOfNode = (reason: string) =>
  /^lost.*(?:NODE_FAIL|BOOT_FAIL|Launch|launch)|without a result|disk is full|disk quota|read-only|I\/O error|EIO/.test(
    reason,
  );
