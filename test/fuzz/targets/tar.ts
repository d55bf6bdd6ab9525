/** @file Tar archives as npm packs them, with pax headers and long names. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readTar } from "../../../src/documents/tar.js";
import { mutateBytes, mutateList, mutateText, set } from "../mutations.js";
import type { Random } from "../random.js";
import type { Target } from "../target.js";

function entry(name: string, type: string, data: Buffer, random: Random): Buffer {
  let header: Buffer = Buffer.alloc(512);
  const size = random.chance(0.85)
    ? data.length.toString(8).padStart(11, "0")
    : random.pick([
        "77777777777",
        "-1",
        "",
        "9999",
        "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02",
        "zz",
        "0x10",
        "1e9",
      ]);
  header.write(name.slice(0, 100), 0);
  header.write(size.slice(0, 12), 124, "latin1");
  header.write(type, 156);
  header.write("ustar\x0000", 257);
  header.write(random.pick(["", "", "prefix"]), 345);
  if (random.chance(0.15)) header = set(header, random.below(500), random.bytes(1 + random.below(10)));
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

function pax(random: Random): Buffer {
  const record = "path=package/a-long-name.txt\n";
  const text = `${record.length + 3} ${record}`;
  return Buffer.from(
    random.chance(0.5)
      ? text
      : random.pick([
          mutateText(text, random),
          "99999999 path=x\n",
          "-5 path=x\n",
          "0 path=x\n",
          "1e3 a=b\n",
          " ",
          "5",
        ]),
  );
}

export function open(): Target {
  return {
    make(random) {
      const parts = Array.from({ length: 1 + random.below(6) }, () => {
        const data = random.bytes(random.below(700));
        return random.oneOf<Buffer>(
          () =>
            entry(
              random.pick(["package/a.js", "package/b/c.txt", "../x", "/abs", "a\\b", "", "package/./d", "\u0001"]),
              random.pick(["0", "0", "\0", "5", "2", "g", "7"]),
              data,
              random,
            ),
          () => entry("pax", "x", pax(random), random),
          () => entry("long", "L", Buffer.from(`package/${"n".repeat(random.below(400))}\0`), random),
        );
      });
      const first = entry(
        "package/first.js",
        "0",
        Buffer.from("first"),
        new (random.constructor as new (seed: string) => Random)("sound"),
      );
      const all = [
        first,
        ...(random.chance(0.3) ? mutateList(parts, random).slice(0, 40) : parts),
        Buffer.alloc(random.pick([0, 512, 1024])),
      ];
      const bytes = Buffer.concat(all);
      return { "a.tar": random.chance(0.3) ? mutateBytes(bytes, random, 1024) : bytes };
    },
    async read(folder, reached) {
      for (const file of readTar(readFileSync(join(folder, "a.tar")))) if (file.path !== undefined) reached();
    },
  };
}
