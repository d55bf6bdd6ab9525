/**
 * @file The process that says which rank was lost; see loss-reporter.ts. It must outlive all ranks, so it loads nothing until
 * there is something to say.
 */
import { createServer } from "node:net";
import type { ReporterMessage, ReporterStart } from "./loss-reporter.js";
import { receive } from "./sockets.js";

/** Milliseconds in which every rank must have connected. */
const CONNECT_MS = 300_000;

let given = "";
for await (const data of process.stdin.setEncoding("utf8")) given += data;
const { token, size, nodes } = JSON.parse(given) as ReporterStart;
let run: string | undefined;
let connected = 0;
let isReporting = false;

const server = createServer((socket) => {
  let rank: number | null = null;
  receive<ReporterMessage>(socket, (message) => {
    if (rank === null) {
      if (message.token !== token || message.rank === undefined) return void socket.destroy();
      rank = message.rank;
      connected += 1;
    }
    run = message.run ?? run;
    if (message.over && !isReporting) process.exit(0);
  });
  socket.on("close", () => {
    if (rank !== null && !isReporting) void report(rank);
  });
});
server.listen(0, () => {
  process.stdout.write(String((server.address() as { readonly port: number }).port));
});
process.stdout.on("error", () => {}); // rank 0 reads no more than the port
setTimeout(() => {
  if (connected < size) process.exit(0);
}, CONNECT_MS).unref();

async function report(rank: number): Promise<void> {
  isReporting = true;
  const { RankLostError } = await import("../../errors.js");
  const { withCheckpoint } = await import("./rank-loss.js");
  const { printable } = await import("../../printable.js");
  const { message } = await withCheckpoint(new RankLostError(rank, nodes[rank]), run);
  process.stderr.write(`quern: ${printable(message)}\n`, () => process.exit(0));
}
