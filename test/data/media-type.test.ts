import { describe, expect, it } from "vitest";
import { isForPrograms, kindOfBody, mediaTypeOf } from "../../src/documents/media-type.js";

const HTML = "<!DOCTYPE html><html><body><p>text</p></body></html>";
const kind = (type: string, body: string | Uint8Array) => kindOfBody(type, Buffer.from(body as string));

describe("media types", () => {
  it.each([
    ["text/html", "text/html"],
    ["Text/HTML;charset=utf-8", "text/html"],
    ["text/html ; charset=utf-8", "text/html"],
    ["text/html, text/html", "text/html"],
    ["text/plain, text/html; charset=x", "text/html"],
    ["text/html, */*", "text/html"],
    ['text/html; a="b, image/png", nonsense', "text/html"],
    ["text/html charset=utf-8", null],
    ['"text/html"', null],
    ["html", null],
    ["text/", null],
    ["*/*", null],
    ["unknown/unknown", null],
    ["", null],
  ])("reads %j", (header, type) => {
    expect(mediaTypeOf(header)).toBe(type);
  });

  it.each(["", "html", '"text/html', "text/html charset=utf-8", "*/*", "text/html, text/html", "; charset=utf-8"])(
    "finds a page sent as %j by its first bytes",
    (header) => {
      expect(kind(header, HTML)).toBe("html");
      expect(kind(header, `\n\t ${HTML}`)).toBe("html");
    },
  );

  it.each([
    ["\ufeff<html>", "html"],
    ["<!-- saved --><p>", "html"],
    ['<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x"><html>', "html"],
    ['<?xml version="1.0"?><rss><title>a</title></rss>', "text/xml"],
    ["<pre-historic> times", "text"],
    ["Only a text.", "text"],
    ["%PDF-1.4", "application/pdf"],
    ["\0\x01\x02", "application/octet-stream"],
    [Buffer.from("\ufeffText", "utf16le"), "text"],
  ])("takes %j without a type for %s", (body, expected) => {
    expect(kind("", body)).toBe(expected);
  });

  it("accepts no other file as a page, whatever its headers say", () => {
    const noise = Buffer.from(Array.from({ length: 600 }, (_, i) => (i * i * 7 + i * 31) % 256));
    for (const body of ["%PDF-1.4\n%", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x01\x02\x03\x04\x05", noise])
      expect(kind("text/html; charset=utf-8", body)).toBe("application/octet-stream");
    const wide = Buffer.from(`<p>${"\u4e0b\u4e05".repeat(300)}`, "utf16le");
    for (const body of [wide, "<p>\x01\x02\x03\x04", "\ufefftext"]) expect(kind("text/html", body)).toBe("html");
  });

  it("rejects binary bytes as text, and accepts XHTML as a page", () => {
    expect(kind("text/plain", "text\0")).toBe("application/octet-stream");
    expect(kind("text/plain; charset=utf-16le", Buffer.from("text", "utf16le"))).toBe("text");
    expect(kind("application/xml", '<?xml version="1.0"?><html xmlns="x">')).toBe("html");
    expect(kind("application/xml", "<feed><html>")).toBe("application/xml");
    expect(kind("image/png", HTML)).toBe("image/png");
  });

  it("recognizes files for programs", () => {
    for (const path of [
      "robots.txt",
      "ROBOTS.TXT?x=1",
      "ads.txt",
      "app-ads.txt",
      "humans.txt",
      "security.txt",
      "sitemap.txt",
      "/robots.txt",
    ])
      expect([path, isForPrograms(`https://a.test/${path}`)]).toEqual([path, true]);
    expect(isForPrograms("https://a.test/.well-known/security.txt")).toBe(true);
    for (const path of ["", "notes/robots.txt", "llms.txt", "robots.txt.html", "robots"])
      expect([path, isForPrograms(`https://a.test/${path}`)]).toEqual([path, false]);
    expect(isForPrograms("no address")).toBe(false);
  });
});
