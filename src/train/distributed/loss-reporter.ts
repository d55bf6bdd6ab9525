/**
 * @file Reports a lost rank where the launcher kills all others at once: MPICH's mpirun leaves them no moment to write a
 * sentence. So rank 0 starts a small process in a session of its own (loss-reporter-process.ts), to which every rank is
 * connected. The first connection that closes without a word is that of the lost rank.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { builtModule } from "../../built-module.js";
import type { Ranks } from "./ranks.js";
import { addresses, connectTo, receive, send } from "./sockets.js";
import type { Places } from "./watch.js";

/** What the process must know at its start, on its standard input. */
export interface ReporterStart {
  readonly token: string;
  readonly size: number;
  /** Name of each rank's node. */
  readonly nodes: readonly string[];
}

/** What a rank sends. */
export interface ReporterMessage {
  readonly token?: string;
  readonly rank?: number;
  /** Folder of the run. */
  readonly run?: string;
  /** The run ends in order, or with an error that a rank reports: nothing more is to be said. */
  readonly over?: true;
}

export interface LossReporter {
  /** Names the folder of the run, whose last checkpoint is reported. */
  run(folder: string): void;
  /** Ends the process. */
  over(): Promise<void>;
}

/** Starts the process on rank 0 and connects all ranks; every rank must call it. */
export async function openLossReporter(ranks: Ranks, { nodes, hosts }: Places): Promise<LossReporter> {
  const token = randomBytes(16).toString("hex");
  const own =
    ranks.rank === 0
      ? { token, port: await startProcess({ token, size: ranks.size, nodes }), names: [hosts[0], ...addresses()] }
      : { token: "", port: 0, names: [] };
  const [first] = await ranks.share(own);
  const names = hosts[ranks.rank] === hosts[0] ? ["127.0.0.1", ...first.names] : first.names;
  const socket = await connectTo(names, first.port);
  receive(socket, () => {});
  const tell = (message: ReporterMessage) => send(socket, message);
  tell({ token: first.token, rank: ranks.rank });
  return {
    run: (folder) => tell({ run: folder }),
    async over() {
      if (socket.destroyed) return;
      tell({ over: true });
      await new Promise<void>((resolve) => {
        // Referenced again, since nothing else may keep this process alive until then.
        socket.ref().once("close", () => resolve());
        socket.end();
      });
    },
  };
}

/** Starts the process and returns its port. */
async function startProcess(start: ReporterStart): Promise<number> {
  const path = fileURLToPath(builtModule(new URL("./loss-reporter-process.js", import.meta.url)));
  // It is no rank, so it gets nothing of the launcher's environment.
  const child = spawn(process.execPath, [path], {
    ...{ detached: true, env: { PATH: process.env.PATH }, stdio: ["pipe", "pipe", "inherit"] },
  });
  child.stdin?.end(`${JSON.stringify(start)}\n`);
  const [line] = await once(child.stdout as Readable, "data");
  child.stdout?.destroy();
  child.unref();
  return Number(line);
}
