import { describe, expect, it } from "vitest";
import { decodePage } from "../../../src/data/extract/charset.js";

/** Text in an encoding that Node can read but not write: each letter is looked up. */
function encode(text: string, charset: string): Uint8Array {
  const decoder = new TextDecoder(charset);
  const table = new Map<string, readonly number[]>();
  for (let high = 0; high < 256; high++) {
    const one = decoder.decode(new Uint8Array([high]));
    if (one.length === 1 && one !== "\ufffd" && !table.has(one)) table.set(one, [high]);
    if (high < 0x81) continue;
    for (let low = 0x30; low < 256; low++) {
      const two = decoder.decode(new Uint8Array([high, low]));
      if ([...two].length === 1 && two !== "\ufffd" && !table.has(two)) table.set(two, [high, low]);
    }
  }
  return Uint8Array.from([...text].flatMap((letter) => table.get(letter) ?? [0x3f]));
}

const GERMAN = "Über schöne Straßen fährt man früher oder später müde nach Köln.";
const page = (text: string, meta = "") =>
  `<html><head>${meta}<title>t</title></head><body><p>${text}</p></body></html>`;

describe("decodePage", () => {
  it("heeds a byte order mark before everything", () => {
    const utf8 = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(page(GERMAN))]);
    expect(decodePage(utf8, "text/html; charset=iso-8859-1")).toMatchObject({ charset: "utf-8", from: "mark" });
    const utf16 = Buffer.from(`\ufeff${page(GERMAN)}`, "utf16le");
    expect(decodePage(utf16, "text/html; charset=utf-8")).toMatchObject({ charset: "utf-16le", from: "mark" });
    expect(decodePage(utf16.swap16())).toMatchObject({ charset: "utf-16be", from: "mark", text: page(GERMAN) });
  });

  it("heeds the header before the page", () => {
    const bytes = encode(page("Привет, мир", '<meta charset="windows-1252">'), "windows-1251");
    expect(decodePage(bytes, 'text/html; charset="Windows-1251"')).toMatchObject({
      charset: "windows-1251",
      from: "header",
    });
  });

  it.each([
    '<meta charset="iso-8859-2">',
    "<meta charset=iso-8859-2 />",
    '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-2">',
    '<META CONTENT="text/html;charset=ISO-8859-2" HTTP-EQUIV="content-type">',
  ])("heeds %s", (meta) => {
    const text = "Příliš žluťoučký kůň";
    const found = decodePage(encode(page(text, meta), "iso-8859-2"));
    expect(found).toMatchObject({ charset: "iso-8859-2", from: "meta", broken: 0 });
    expect(found.text).toContain(text);
  });

  it("reads the XML declaration", () => {
    const bytes = encode(`<?xml version="1.0" encoding="iso-8859-1"?>${page(GERMAN)}`, "windows-1252");
    expect(decodePage(bytes)).toMatchObject({ charset: "windows-1252", from: "meta" });
  });

  it("does not believe what the bytes contradict", () => {
    expect(decodePage(Buffer.from(page(GERMAN)), "text/html; charset=iso-8859-1").charset).toBe("utf-8");
    expect(decodePage(Buffer.from(page(GERMAN, '<meta charset="utf-16">'))).charset).toBe("utf-8");
    const latin = encode(page(GERMAN, '<meta charset="utf-8">'), "windows-1252");
    expect(decodePage(latin).text).toContain(GERMAN);
  });

  it("knows no charset that is not one", () => {
    expect(decodePage(Buffer.from(page(GERMAN)), "text/html; charset=klingon")).toMatchObject({ charset: "utf-8" });
    expect(decodePage(Buffer.from(page(GERMAN)), "text/html; charset=")).toMatchObject({ charset: "utf-8" });
  });

  it.each([
    ["windows-1252", GERMAN],
    ["windows-1251", "Съешь же ещё этих мягких французских булок, да выпей чаю. Мы говорим о том, что было."],
    ["koi8-r", "Съешь же ещё этих мягких французских булок, да выпей чаю. Мы говорим о том, что было."],
    ["windows-1253", "Η γλώσσα είναι ένα σύστημα με το οποίο οι άνθρωποι επικοινωνούν μεταξύ τους."],
    ["windows-1255", "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם"],
    ["windows-1256", "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق"],
    ["shift_jis", "これは日本語の文章です。すべての人間は、生まれながらにして自由である。"],
    ["euc-jp", "これは日本語の文章です。すべての人間は、生まれながらにして自由である。"],
    ["gb18030", "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，这是我们的国家。"],
    ["big5", "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心，這是我們的國家。"],
    ["euc-kr", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다"],
  ])("tells %s by statistics", (charset, text) => {
    const found = decodePage(encode(page(text.repeat(6)), charset));
    expect(found.from).toBe("statistics");
    expect(found.text).toContain(text);
  });

  it("tells UTF-16 without a mark, and UTF-8 that is broken in places", () => {
    expect(decodePage(Buffer.from(page(GERMAN), "utf16le")).text).toContain(GERMAN);
    const broken = Buffer.concat([Buffer.from(page(GERMAN.repeat(20))), Buffer.from([0xff, 0x20, 0xc3])]);
    expect(decodePage(broken)).toMatchObject({ charset: "utf-8", broken: 2 });
  });
});
