/** @file The folder of a crawl that is resumed: its log, and the archive that the log names last. */
import { gzipSync } from "node:zlib";
import { CrawlStore } from "../../../src/data/crawl/store.js";
import { type Json, jsonText, mutateBytes, mutateJson, mutateList, several } from "../mutations.js";
import type { Target } from "../target.js";

export function open(): Target {
  return {
    make(random) {
      const members = Array.from({ length: 1 + random.below(4) }, (_, i) => gzipSync(`record ${i}`));
      let end = 0;
      const lines = members.flatMap((member, i): Json[] => {
        end += member.length;
        const url = `http://example.org/${i}`;
        return [
          { found: { url, depth: i, kind: random.pick(["page", "sitemap"]), hops: 0 } },
          {
            done: {
              url,
              outcome: "kept",
              status: 200,
              bytes: 9,
              digest: "sha1:AAAA",
              archive: "archive-00000.warc.gz",
              end,
            },
          },
        ];
      });
      const first = JSON.stringify(lines[0]);
      const all = random.chance(0.4) ? mutateList(lines, random).slice(0, 500) : lines;
      const changed = all.map((line) =>
        random.chance(0.4) ? several<Json>(line, random, (value) => mutateJson(value, random)) : line,
      );
      let log: Buffer = Buffer.from(`${[first, ...changed.map((line) => jsonText(line, random))].join("\n")}\n`);
      if (random.chance(0.4)) log = mutateBytes(log, random, first.length + 1);
      let archive: Buffer = Buffer.concat(members);
      if (random.chance(0.4)) archive = mutateBytes(archive, random);
      return { "frontier.log": log, "archive-00000.warc.gz": archive };
    },
    async read(folder, reached) {
      const store = await CrawlStore.open(folder, reached);
      await store.write([gzipSync("new")], [], { url: "http://example.org/new", outcome: "kept" });
      await store.close();
      await (await CrawlStore.open(folder, () => {})).close();
    },
  };
}
