import { describe, expect, it } from "vitest";
import { decodePage } from "../../../src/documents/charset/charset.js";
import { decodeBytes } from "../../../src/documents/charset/decode.js";

/** Encodes text in an encoding that Node can only decode, by looking up each letter. */
function encode(text: string, charset: string): Uint8Array {
  const table = new Map<string, readonly number[]>();
  for (let high = 0; high < 256; high++) {
    const one = decodeBytes(new Uint8Array([high]), charset);
    if (one.length === 1 && one !== "\ufffd" && !table.has(one)) table.set(one, [high]);
    if (high < 0x81) continue;
    for (let low = 0x30; low < 256; low++) {
      const two = decodeBytes(new Uint8Array([high, low]), charset);
      if ([...two].length === 1 && two !== "\ufffd" && !table.has(two)) table.set(two, [high, low]);
    }
  }
  return Uint8Array.from([...text].flatMap((letter) => table.get(letter) ?? [0x3f]));
}

const GERMAN = "Über schöne Straßen fährt man früher oder später müde nach Köln.";
const page = (text: string, meta = "") =>
  `<html><head>${meta}<title>t</title></head><body><p>${text}</p></body></html>`;

describe("decodePage", () => {
  it("gives a byte order mark precedence over everything else", () => {
    const utf8 = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(page(GERMAN))]);
    expect(decodePage(utf8, "text/html; charset=iso-8859-1")).toMatchObject({ charset: "utf-8", from: "mark" });
    const utf16 = Buffer.from(`\ufeff${page(GERMAN)}`, "utf16le");
    expect(decodePage(utf16, "text/html; charset=utf-8")).toMatchObject({ charset: "utf-16le", from: "mark" });
    expect(decodePage(utf16.swap16())).toMatchObject({ charset: "utf-16be", from: "mark", text: page(GERMAN) });
  });

  it("gives the header precedence over the page", () => {
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
  ])("uses %s", (meta) => {
    const text = "Příliš žluťoučký kůň";
    const found = decodePage(encode(page(text, meta), "iso-8859-2"));
    expect(found).toMatchObject({ charset: "iso-8859-2", from: "meta", broken: 0 });
    expect(found.text).toContain(text);
  });

  it.each([
    ['<!-- <meta charset="shift_jis"> --><meta charset="iso-8859-2">'],
    ["<!--><meta charset=iso-8859-2>"],
    ['<a title=\'<meta charset="shift_jis">\'><meta charset="iso-8859-2">'],
    ['<meta name="x" content="text/html; charset=shift_jis"><meta charset="iso-8859-2">'],
    ['<meta data-charset="shift_jis"><meta charset="iso-8859-2">'],
    ['<meta charset="none such"><meta charset="iso-8859-2">'],
    ["<metadata charset=shift_jis><meta\tname=a\n/charset = 'ISO-8859-2'>"],
    ['<meta content="text/html; charset=iso-8859-2" x http-equiv=Content-Type>'],
    [
      '<meta http-equiv="content-type" content="charset;charset = &quot;; charset=\'iso-8859-2\'">'.replace(
        "&quot;; ",
        "; ",
      ),
    ],
    ['<meta charset="iso-8859-2" charset="shift_jis">'],
    ['<? <meta charset=shift_jis ?><! <meta charset=shift_jis ><meta charset="iso-8859-2">'],
    ['</meta charset="shift_jis"><meta charset="iso-8859-2">'],
    [`<style>${"a{} ".repeat(3000)}<meta charset="shift_jis"></style><meta charset="iso-8859-2">`],
    [`<script>${"x; ".repeat(400)} d.write('<meta charset="shift_jis">')</script><meta charset="iso-8859-2">`],
  ])("finds the charset declared in %j", (meta) => {
    const text = "Příliš žluťoučký kůň";
    expect(decodePage(encode(page(text, meta), "iso-8859-2"))).toMatchObject({ charset: "iso-8859-2", from: "meta" });
  });

  it("reads UTF-16 in a meta tag as UTF-8, and quotation marks of windows-1252", () => {
    expect(decodePage(Buffer.from(page("ASCII", "<meta charset=utf-16be>")))).toMatchObject({
      charset: "utf-8",
      from: "meta",
    });
    const bytes = Buffer.from(page("It\x92s \x93quoted\x94 \x80 5", "<meta charset=x-user-defined>"), "latin1");
    expect(decodePage(bytes)).toMatchObject({ charset: "windows-1252", from: "meta" });
    expect(decodePage(bytes).text).toContain("It’s “quoted” € 5");
  });

  it.each(["iso-8859-1", "windows-1251", "shift_jis", "gbk", "big5", "euc-kr", "koi8-r", "iso-8859-9"])(
    "detects UTF-8 declared as %s",
    (charset) => {
      for (const text of [GERMAN, "Мы говорим о том, что было.", "これは日本語の文章です。", "Zażółć gęślą jaźń"]) {
        const bytes = Buffer.from(page(text, `<meta charset="${charset}">`));
        expect(decodePage(bytes)).toMatchObject({ charset: "utf-8", broken: 0 });
        expect(decodePage(bytes, `text/html; charset=${charset}`).text).toContain(text);
      }
      expect(decodePage(Buffer.from("caf\u00e9"), "text/html; charset=iso-8859-1").text).toBe("café");
    },
  );

  it("reads the XML declaration", () => {
    const bytes = encode(`<?xml version="1.0" encoding="iso-8859-1"?>${page(GERMAN)}`, "windows-1252");
    expect(decodePage(bytes)).toMatchObject({ charset: "windows-1252", from: "meta" });
  });

  it("ignores a declaration that the bytes contradict", () => {
    expect(decodePage(Buffer.from(page(GERMAN)), "text/html; charset=iso-8859-1").charset).toBe("utf-8");
    expect(decodePage(Buffer.from(page(GERMAN, '<meta charset="utf-16">'))).charset).toBe("utf-8");
    const latin = encode(page(GERMAN, '<meta charset="utf-8">'), "windows-1252");
    expect(decodePage(latin).text).toContain(GERMAN);
  });

  it("ignores an unknown charset", () => {
    expect(decodePage(Buffer.from(page(GERMAN)), "text/html; charset=klingon")).toMatchObject({ charset: "utf-8" });
    expect(decodePage(Buffer.from(page(GERMAN)), "text/html; charset=")).toMatchObject({ charset: "utf-8" });
  });

  it.each([
    ["windows-1252", GERMAN],
    ["windows-1252", "L’été dernier, nous sommes allés « à la mer » ; où étiez-vous ?"],
    ["windows-1250", "Když večer zapadlo slunce, šli jsme ještě jednou k řece a dívali se na loďky."],
    ["iso-8859-2", "Wieczorem poszliśmy jeszcze raz nad rzekę, żeby popatrzeć na łódki."],
    ["windows-1250", "Este később még egyszer lementünk a folyóhoz, hogy megnézzük a csónakokat, őszintén."],
    ["windows-1250", "Seara am mers încă o dată la râu, să ne uităm la bărci şi la oameni."],
    ["windows-1254", "Akşam güneş batarken bir kez daha nehre gidip kayıklara baktık, çok güzeldi."],
    ["windows-1257", "Vakare dar kartą nuėjome prie upės pažiūrėti į valtis, saulė leidosi."],
    ["iso-8859-13", "Vakarā mēs vēlreiz aizgājām līdz upei paskatīties uz laivām, saule rietēja."],
    ["ibm866", "Вечером мы ещё раз пошли к реке посмотреть на лодки."],
    ["iso-8859-5", "Вечером мы ещё раз пошли к реке посмотреть на лодки."],
    ["x-mac-cyrillic", "Вечером мы ещё раз пошли к реке посмотреть на лодки, а солнце садилось. Я видел."],
    ["koi8-u", "Увечері ми ще раз пішли до річки подивитися на човни, і сонце сідало; її не було."],
    ["windows-874", "เย็นวันนั้นเราไปที่แม่น้ำอีกครั้งเพื่อดูเรือ"],
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
  ])("detects %s by statistics", (charset, text) => {
    for (const times of [1, 6]) {
      const found = decodePage(encode(page(text.repeat(times), "<!-- Powered by © nothing -->".repeat(900)), charset));
      expect(found.from).toBe("statistics");
      expect(found.text).toContain(text);
    }
  });

  it("detects ISO-2022-JP by its escapes, and Vietnamese with combining tone marks", () => {
    const japanese = Buffer.from("1b2442244f24242422246b1b2842", "hex");
    expect(decodePage(Buffer.concat([Buffer.from("<p>"), japanese]))).toMatchObject({ charset: "iso-2022-jp" });
    const text = "Tất cả mọi người sinh ra đều được tự do và bình đẳng".normalize("NFD");
    const bytes = encode(
      text
        .replace(/[aeo]\u0302|a\u0306|[ou]\u031b/g, (letter) => letter.normalize("NFC"))
        .replace(/([aeo])\u0323\u0302/g, (_, letter) => `${`${letter}\u0302`.normalize("NFC")}\u0323`),
      "windows-1258",
    );
    expect(decodePage(bytes).text.normalize("NFC")).toBe(text.normalize("NFC"));
  });

  it("checks a bounded number of unknown charsets", () => {
    const tail = `<meta charset=koi8-r>${"x".repeat(10)}`;
    expect(decodePage(Buffer.from("<meta charset=x>".repeat(1000) + tail)).charset).toBe("koi8-r");
    expect(decodePage(Buffer.from("<meta charset=x>".repeat(100_000) + tail)).charset).toBe("utf-8");
  });

  it("reads hostile markup in linear time", () => {
    for (const piece of ["<", "<a ", "<meta ", "<!--", '<a b="', "<script>", "<meta charset=x "]) {
      const start = process.cpuUsage();
      decodePage(Buffer.from(piece.repeat(2 ** 20 / piece.length)));
      expect(process.cpuUsage(start).user).toBeLessThan(10e6);
    }
  });

  it("detects Chinese UTF-16 by its markup, and UTF-8 declared as ISO-2022-JP", () => {
    const text = "古い水車小屋は川のほとりに立っていて粉屋は毎日村のために穀物を挽く".repeat(30);
    const wide = Buffer.from(page(text), "utf16le");
    expect(decodePage(wide)).toMatchObject({ charset: "utf-16le", text: page(text) });
    expect(decodePage(Buffer.from(wide).swap16(), "text/html; charset=utf-16be").text).toBe(page(text));
    const named = Buffer.from(page("古い水車小屋", "<meta charset=iso-2022-jp>"));
    expect(decodePage(named)).toMatchObject({ charset: "utf-8", broken: 0 });
  });

  it("detects UTF-16 without a byte order mark, and UTF-8 with a few errors", () => {
    expect(decodePage(Buffer.from(page(GERMAN), "utf16le")).text).toContain(GERMAN);
    const broken = Buffer.concat([Buffer.from(page(GERMAN.repeat(20))), Buffer.from([0xff, 0x20, 0xc3])]);
    expect(decodePage(broken)).toMatchObject({ charset: "utf-8", broken: 2 });
  });
});
