import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { isPage, readPages } from "../../src/documents/index.js";
import fixture from "./fixtures/warcio.json" with { type: "json" };

it.each(fixture.archives)("reads the same records as warcio: $name", async ({ archive, pages }) => {
  const folder = await mkdtemp(join(tmpdir(), "quern-warcio-"));
  try {
    const path = join(folder, "x.warc");
    await writeFile(path, gunzipSync(Buffer.from(archive, "base64")));
    const found: [string, string][] = [];
    for await (const page of readPages([path])) {
      if (isPage(page)) found.push([page.url ?? "", Buffer.from(page.bytes).toString("latin1")]);
    }
    expect(found).toEqual(pages.map(([url, body]) => [url?.replaceAll(" ", "%20"), body ?? fixture.page]));
  } finally {
    await rm(folder, { recursive: true });
  }
});
