import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findInputs } from "../../src/documents/index.js";
import { expandLocation, readLocation } from "../../src/documents/location.js";
import type { QuernError } from "../../src/errors.js";

let server: Server;
let place: string;
let endless = false;
let asked: string[];
beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    if (endless) {
      const write = () => {
        while (!response.destroyed && response.write(Buffer.alloc(2 ** 20, "a\n")));
      };
      response.on("drain", write);
      return write();
    }
    asked.push(request.url ?? "");
    response.writeHead(404, "Not\xc2\x9b31m").end();
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
  it("is refused with a user name or password, which the error does not show", async () => {
    for (const user of ["me:geheim", "geheim", ":geheim"]) {
      const location = `http://${user}@${place}/x`;
      for (const attempt of [read(location), expandLocation(location), findInputs([location])]) {
        const error = await Promise.resolve(attempt).catch((problem: QuernError) => problem);
        expect(error).toMatchObject({ exitCode: 2, message: /^http:\/\/\*\*\*@127.*contains a user name or password/ });
        expect((error as QuernError).message).not.toMatch(/geheim/);
      }
    }
    expect(asked).toEqual([]);
  });

  it("is quoted without a server's control characters", async () => {
    const message = await read(`http://${place}/x?token=geheim`).catch((error: Error) => error.message);
    expect(message).toMatch(/x\?token=\*\*\*: the server answered 404 Not\\x9b31m$/);
  });

  it("has a limit on the size of its path list", async () => {
    endless = true;
    const environment = { QUERN_COMMON_CRAWL: `http://${place}` };
    await expect(expandLocation("cc://CC-MAIN-2024-22", { environment })).rejects.toThrow(/larger than 64 MiB/);
    endless = false;
  });
});
