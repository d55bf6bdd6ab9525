/** @file Connections that carry messages, one line of JSON each, and close when a process or its machine ends. */
import { createConnection, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { QuernError } from "../../errors.js";

/** Milliseconds of silence after which the system asks whether the other machine is still there; it gives up 10 s later. */
const KEEP_ALIVE_MS = 1_000;

/** Sends one message, unless the other side has closed. */
export function send(socket: Socket, message: object): void {
  if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
}

/** Calls `handle` with each message; closes the connection of someone who sends anything else. Keeps no process alive. */
export function receive<Message>(socket: Socket, handle: (message: Message) => void): void {
  socket.setKeepAlive(true, KEEP_ALIVE_MS).setNoDelay(true).unref();
  socket.on("error", () => {}); // "close" follows
  let text = "";
  socket.setEncoding("utf8").on("data", (data) => {
    const lines = (text + data).split("\n");
    text = lines.pop() as string;
    try {
      for (const line of lines) handle(JSON.parse(line) as Message);
    } catch {
      socket.destroy();
    }
  });
}

/** Connects to the first of the hosts that answers. @throws QuernError if none does */
export async function connectTo(hosts: readonly string[], port: number): Promise<Socket> {
  for (const host of hosts) {
    const socket = createConnection({ host, port, timeout: 5_000 });
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
      socket.once("timeout", () => resolve(false));
    });
    if (isOpen) return socket.setTimeout(0);
    socket.destroy();
  }
  throw new QuernError(
    `cannot connect to rank 0 at ${hosts.join(", ")}, port ${port}; allow connections between the nodes`,
  );
}

/** This machine's addresses that other machines can reach. */
export function addresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).filter(({ internal }) => !internal).map(({ address }) => address),
  );
}
