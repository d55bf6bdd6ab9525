import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { expandLocation, readLocation } from "../../src/data/location.js";

let server: Server;
let place: string;
let endless = false;
beforeEach(async () => {
  server = createServer((request, response) => {
    if (endless) {
      const write = () => {
        while (!response.destroyed && response.write(Buffer.alloc(2 ** 20, "a\n")));
      };
      response.on("drain", write);
      return write();
    }
    const isKnown = request.headers.authorization === `Basic ${Buffer.from("me:ge/heim").toString("base64")}`;
    response.writeHead(isKnown ? 200 : 401).end("text");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  place = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const read = async (location: string) => {
  const parts: Uint8Array[] = [];
  for await (const part of readLocation(location, { retries: 0 })) parts.push(part);
  return Buffer.concat(parts).toString();
};

describe("a remote location", () => {
  it("is read with the user name and password that it holds, and shown without", async () => {
    expect(await read(`http://me:ge%2Fheim@${place}/x`)).toBe("text");
    for (const location of [`http://me:geheim@${place}/x`, "http://me:geheim@127.0.0.1:1/x"]) {
      const message = await read(location).catch((error: Error) => error.message);
      expect(message).toMatch(/^cannot read http:\/\/127\.0\.0\.1:\d+\/x: /);
      expect(message).not.toMatch(/geheim/);
    }
  });

  it("is no list without end", async () => {
    endless = true;
    const environment = { QUERN_COMMON_CRAWL: `http://${place}` };
    await expect(expandLocation("cc://CC-MAIN-2024-22", { environment })).rejects.toThrow(/larger than 64 MiB/);
    endless = false;
  });
});
