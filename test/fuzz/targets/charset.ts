/** @file The bytes of pages in many encodings, with declarations that fit, lie or are damaged. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decodePage } from "../../../src/data/index.js";
import { mutateBytes, mutateText, several } from "../mutations.js";
import { sentences } from "../seeds.js";
import type { Target } from "../target.js";

const LABELS = [
  ...["utf-8", "windows-1252", "iso-8859-1", "shift_jis", "euc-kr", "gb18030", "big5", "koi8-r", "utf-16", "utf-16le"],
  ...[
    "x-user-defined",
    "replacement",
    "iso-2022-kr",
    "no-such",
    "",
    "utf-7",
    "iso-2022-jp",
    "\u0000",
    " utf8 ",
    "ansi",
  ],
];

export function open(): Target {
  return {
    make(random) {
      const label = random.pick(LABELS);
      const head = random.pick([
        `<meta charset="${label}">`,
        `<meta http-equiv="Content-Type" content="text/html; charset=${label}">`,
        `<?xml version="1.0" encoding="${label}"?>`,
        `<!-- <meta charset=${label}> --><p>`,
        `<meta content='charset=${label}`,
      ]);
      const text = `${random.chance(0.5) ? several(head, random, (each) => mutateText(each, random)) : head}${sentences(random)}`;
      const encoded = random.oneOf<Buffer>(
        () => Buffer.from(text),
        () => Buffer.from(text, "latin1"),
        () => Buffer.from(text, "utf16le"),
        () => Buffer.from(text, "utf16le").swap16(),
        () => Buffer.concat([Buffer.from(head), random.bytes(2000)]),
        () =>
          Buffer.concat([Buffer.from(head), Buffer.from(Array.from({ length: 2000 }, () => 0x80 | random.below(128)))]),
        () =>
          Buffer.concat([
            random.pick([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])]),
            Buffer.from(text),
          ]),
      );
      const type = random.pick([
        "",
        "text/html",
        `text/html; charset=${random.pick(LABELS)}`,
        `text/html; charset="${label}`,
      ]);
      return { "page.html": several(encoded, random, (bytes) => mutateBytes(bytes, random)), type };
    },
    async read(folder, reached) {
      const { text } = decodePage(readFileSync(join(folder, "page.html")), readFileSync(join(folder, "type"), "utf8"));
      if (text !== "") reached();
    },
    command: () => ["data", "extract", "page.html"],
  };
}
