/** @file Checks that all ranks see one folder of a run: rank 0 writes a file there, and the others look for it. */
import { rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { temporaryName } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import type { Ranks } from "./ranks.js";

/** Milliseconds until a file of one machine is visible on the others: network file systems cache what they list. */
const VISIBLE_MS = 10_000;

/** Every rank must call it. @throws QuernError on all ranks if one of them does not see the folder of rank 0 */
export async function refuseSeparateFolders(ranks: Ranks, folder: string): Promise<void> {
  if (ranks.size === 1) return;
  const own = ranks.rank === 0 ? temporaryName(join(folder, "run.json")) : "";
  if (own !== "") {
    await writeFile(own, "").catch((error: unknown) => {
      throw fileError(error, "write", folder);
    });
  }
  try {
    const [name] = await ranks.share(basename(own));
    const seen = await ranks.share(own !== "" || (await appears(join(folder, name))));
    const blind = seen.indexOf(false);
    if (blind < 0) return;
    throw new QuernError(
      `rank ${blind} on ${ranks.nodes[blind]} does not see ${folder} of rank 0 on ${ranks.nodes[0]}; choose a folder on a file ` +
        "system that all nodes share",
    );
  } finally {
    if (own !== "") await rm(own, { force: true });
  }
}

async function appears(path: string): Promise<boolean> {
  const deadline = performance.now() + VISIBLE_MS;
  for (;;) {
    if ((await stat(path).catch(() => null)) !== null) return true;
    if (performance.now() > deadline) return false;
    await sleep(100);
  }
}
