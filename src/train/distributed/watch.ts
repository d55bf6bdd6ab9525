/**
 * @file Notices that a rank ended, whatever moves the data: MPI and shared memory would wait for it forever. Every rank keeps a
 * socket to rank 0, which the system closes when a process ends. Rank 0 then tells all others. No tensors travel here.
 *
 *     to rank 0     { token, rank } at first; { failed, exitCode } after an error; { bye } at the end
 *     from rank 0   { lost } names a rank that ended; { end } after an error; { bye } at the end
 */
import { randomBytes } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { EndedElsewhereError, type ErrorExitCode, InterruptedError, QuernError, RankLostError } from "../../errors.js";
import type { Ranks } from "./ranks.js";
import { addresses, connectTo, receive, send } from "./sockets.js";

type Message = {
  readonly token?: string;
  readonly rank?: number;
  readonly failed?: string;
  readonly exitCode?: ErrorExitCode;
  readonly bye?: true;
  readonly lost?: number;
  readonly end?: true;
};

export interface Watch {
  /** Returns `wait`, or rejects as soon as a rank is lost or failed. */
  unlessLost<T>(wait: Promise<T>): Promise<T>;
  /** Tells the other ranks of an error; returns the error that this rank should report. */
  fail(error: unknown): Promise<unknown>;
  /** Leaves in order. */
  close(): void;
}

/** Milliseconds in which every rank must have connected to rank 0. */
const CONNECT_MS = 120_000;
/** Milliseconds that rank 0's own error may come after that of another rank, which often follows from it. */
const OWN_ERROR_MS = 300;

/** Where the ranks run, by rank. */
export interface Places {
  /** The scheduler's names of the nodes, for people. */
  readonly nodes: readonly string[];
  /** The machines' own names. */
  readonly hosts: readonly string[];
}

/** Connects all ranks to rank 0; every rank must call it. */
export async function openWatch(ranks: Ranks, places: Places): Promise<Watch> {
  return ranks.rank === 0 ? listen(ranks, places) : connect(ranks, places);
}

async function listen(ranks: Ranks, { nodes, hosts }: Places): Promise<Watch> {
  const loss = createLoss();
  const token = randomBytes(16).toString("hex");
  const sockets = new Map<number, Socket>();
  const gone = new Set<number>();
  const tell = (message: Message) => {
    for (const [rank, socket] of sockets) if (!gone.has(rank)) send(socket, message);
  };
  let arrived = () => {};
  const all = new Promise<void>((resolve) => {
    arrived = () => sockets.size === ranks.size - 1 && resolve();
  });
  const server = createServer((socket) => {
    let rank = 0;
    receive<Message>(socket, (message) => {
      if (rank === 0) {
        // Anything else that finds this port is turned away.
        if (message.token !== token || !message.rank) return void socket.destroy();
        rank = message.rank;
        sockets.set(rank, socket);
        arrived();
      }
      if (message.bye) gone.add(rank);
      if (message.failed !== undefined) {
        gone.add(rank);
        const error = new QuernError(`rank ${rank} on ${nodes[rank]}: ${message.failed}`, {
          exitCode: message.exitCode,
        });
        setTimeout(() => loss.reject(error), OWN_ERROR_MS).unref();
      }
    });
    socket.on("close", () => {
      if (rank === 0 || gone.has(rank)) return;
      gone.add(rank);
      tell({ lost: rank });
      loss.reject(new RankLostError(rank, nodes[rank]));
    });
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, resolve));
  server.unref();
  const { port } = server.address() as { readonly port: number };
  await ranks.share({ token, port, hosts: [hosts[0], ...addresses()] });
  const arrival = new AbortController();
  const late = sleep(CONNECT_MS, "late", { signal: arrival.signal }).catch(() => "all");
  const come = await Promise.race([all, late]);
  arrival.abort();
  if (come === "late") {
    throw new QuernError(
      `only ${sockets.size + 1} of ${ranks.size} ranks could connect to ${nodes[0]}, port ${port}; allow connections between ` +
        "the nodes",
    );
  }
  return {
    unlessLost: loss.unlessLost,
    async fail(error) {
      tell({ end: true });
      return error;
    },
    close() {
      tell({ bye: true });
      server.close();
      for (const socket of sockets.values()) socket.end();
    },
  };
}

async function connect(ranks: Ranks, { nodes, hosts }: Places): Promise<Watch> {
  const loss = createLoss();
  const [{ token, port, hosts: names }] = await ranks.share<{ token: string; port: number; hosts: readonly string[] }>({
    ...{ token: "", port: 0, hosts: [] },
  });
  const socket = await connectTo(hosts[ranks.rank] === hosts[0] ? ["127.0.0.1", ...names] : names, port);
  let isOver = false;
  const elsewhere = (lost?: number) => {
    isOver = true;
    const cause = lost === undefined ? undefined : new RankLostError(lost, nodes[lost]);
    loss.reject(new EndedElsewhereError("another rank ended the run", { cause }));
  };
  receive<Message>(socket, (message) => {
    if (message.bye) isOver = true;
    if (message.end || message.lost !== undefined) elsewhere(message.lost);
  });
  socket.on("close", () => {
    if (isOver) return;
    // Rank 0 cannot say that it was lost itself. One of the others does.
    if (ranks.rank === 1) loss.reject(new RankLostError(0, nodes[0]));
    else elsewhere(0);
  });
  send(socket, { token, rank: ranks.rank });
  return {
    unlessLost: loss.unlessLost,
    async fail(error) {
      if (isOver || error instanceof RankLostError) return error;
      isOver = true;
      const failed = error instanceof Error ? error.message : String(error);
      const exitCode = error instanceof QuernError ? error.exitCode : 1;
      // Rank 0 must have read it before this process, and with it the whole job, ends. It was interrupted itself, if this rank was.
      await new Promise<void>((resolve) => {
        socket.once("close", resolve);
        setTimeout(resolve, 10 * OWN_ERROR_MS);
        if (!(error instanceof InterruptedError)) send(socket, { failed, exitCode });
      });
      if (error instanceof InterruptedError) return error;
      return new EndedElsewhereError(failed, { cause: error, exitCode });
    },
    close() {
      isOver = true;
      send(socket, { bye: true });
      socket.end();
    },
  };
}

/** The promise that rejects when a rank is lost. */
function createLoss() {
  let reject: (error: Error) => void = () => {};
  const lost = new Promise<never>((_, fail) => {
    reject = fail;
  });
  lost.catch(() => {}); // nobody may be waiting at that moment
  return { reject, unlessLost: <T>(wait: Promise<T>) => Promise.race([wait, lost]) };
}
