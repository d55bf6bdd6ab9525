import { describe, expect, it } from "vitest";
import { AddressCounts, AddressSet } from "../../../src/data/crawl/address-set.js";
import { readLinks, readSitemap } from "../../../src/data/crawl/links.js";
import { locationOf, normalizeUrl } from "../../../src/data/crawl/urls.js";
import { canonicalUrl } from "../../../src/data/index.js";

describe("an address in one form", () => {
  it("keeps the bytes of its query, whatever their charset", () => {
    const kept: [string, string][] = [
      ["http://a.test/s?q=%F1%EE%ED&utm_source=x", "http://a.test/s?q=%F1%EE%ED"],
      ["http://a.test/s?utm_source=x&q=%f1%ee%ed", "http://a.test/s?q=%f1%ee%ed"],
      ["http://a.test/s?flag&utm_source=x", "http://a.test/s?flag"],
      ["http://a.test/s?flag=&gclid=1", "http://a.test/s?flag="],
      ["http://a.test/s?a=1+2%2B3&utm%5fmedium=mail", "http://a.test/s?a=1+2%2B3"],
      ["http://a.test/s?a=b=c&&d&fbclid=1&e;f", "http://a.test/s?a=b=c&&d&e;f"],
      ["http://a.test/s?q=a'b&UTM_X=1", "http://a.test/s?q=a%27b"],
      ["http://a.test/s?utm_source=x", "http://a.test/s"],
      ["http://a.test/s?", "http://a.test/s"],
      ["http://a.test/s?q=1?utm_source=x", "http://a.test/s?q=1?utm_source=x"],
    ];
    for (const [address, form] of kept) expect(normalizeUrl(address)).toBe(form);
  });

  it("loses what looks like a session id, and only that", () => {
    const hex = "0c83f57c786a0b4a39efab23731c7ebc";
    for (const name of ["sid", "s", "PHPSESSID", "jsessionid", "sessionid", "session_id", "osCsid"]) {
      expect([name, normalizeUrl(`http://a.test/p?x=1&${name}=${hex}`)]).toEqual([name, "http://a.test/p?x=1"]);
    }
    expect(normalizeUrl("http://a.test/p?PHPSESSID=r2t5uvjq435r4q7ib3vtdjq120")).toBe("http://a.test/p");
    expect(normalizeUrl("http://a.test/p;jsessionid=1A2B.node1?x=1")).toBe("http://a.test/p?x=1");
    expect(normalizeUrl("http://a.test/p?CFID=12&CFTOKEN=3456&x=1")).toBe("http://a.test/p?x=1");
    const pages = [
      "sid=07/01/02/0304",
      "sid=4711",
      "s=mill+wheel",
      "s=internationalization",
      "s=javascript2024tutorials",
      "sessionid=12",
    ];
    pages.push("session=morning", "phpsessid=99/09/08", "s", "sid=", "cfid=12", "id=0123456789abcdef0123456789abcdef");
    for (const query of pages) expect(normalizeUrl(`http://a.test/p?${query}`)).toBe(`http://a.test/p?${query}`);
  });

  it("is bounded in length, however long the link", () => {
    expect(normalizeUrl(`http://a.test/${"x".repeat(1900)}`)).toHaveLength(1914);
    expect(normalizeUrl(`http://a.test/${"x".repeat(2000)}`)).toBeNull();
    expect(normalizeUrl(`http://a.test/#${"x".repeat(5000)}`)).toBe("http://a.test/");
    expect(normalizeUrl(`http://a.test/#${"x".repeat(10_000_000)}`)).toBeNull();
  });

  it("is compared with its script's route, and without other fragments", () => {
    expect(canonicalUrl("https://www.a.test/#!topic/mill")).toBe("a.test#!topic/mill");
    expect(canonicalUrl("https://a.test/#/topic/mill")).toBe("a.test#/topic/mill");
    expect(canonicalUrl("https://a.test/x?a=%F1#top")).toBe("a.test/x?a=%F1");
    expect(canonicalUrl("https://a.test/x#!")).toBe("a.test/x");
    expect(canonicalUrl("http://me:secret@a.test/x")).toBe("a.test/x");
  });
});

describe("a link of a page in another charset", () => {
  const resolve = (link: string, charset: string) => normalizeUrl(link, "http://a.test/d/", charset)?.slice(13);

  it("has its path in UTF-8 and its query in that charset", () => {
    const table: [string, string, string][] = [
      ["windows-1251", "/мука?q=мука&a=1", "/%D0%BC%D1%83%D0%BA%D0%B0?q=%EC%F3%EA%E0&a=1"],
      ["windows-1252", "mühle?ä=ü#ü", "/d/m%C3%BChle?%E4=%FC"],
      ["windows-1252", "?q=’“€", "/d/?q=%92%93%80"],
      ["koi8-r", "?м", "/d/?%CD"],
      ["iso-8859-2", "?ł=ą", "/d/?%B3=%B1"],
      ["shift_jis", "?q=表す", "/d/?q=%95\\%82%B7"],
      ["shift_jis", "?q=纊", "/d/?q=%FA\\"],
      ["euc-jp", "?q=表", "/d/?q=%C9%BD"],
      ["iso-2022-jp", "?q=表す!", "/d/?q=%1B$BI=$9%1B(B!"],
      ["euc-kr", "?q=가", "/d/?q=%B0%A1"],
      ["gbk", "?q=磨€", "/d/?q=%C4%A5%80"],
      ["gb18030", "?q=磨€\u00e4", "/d/?q=%C4%A5%A2%E3%810%8A1"],
      ["big5", "?q=十磨", "/d/?q=%A4Q%BFi"],
      // What the charset lacks is a reference, escaped.
      ["windows-1251", "?q=ü", "/d/?q=%26%23252%3B"],
      ["gbk", "?q=😀", "/d/?q=%26%23128512%3B"],
      ["utf-8", "?q=ü", "/d/?q=%C3%BC"],
      ["utf-16le", "?q=ü", "/d/?q=%C3%BC"],
      ["no-such-charset", "?q=ü", "/d/?q=%C3%BC"],
    ];
    for (const [charset, link, expected] of table) {
      expect([charset, link, resolve(link, charset)]).toEqual([charset, link, expected]);
    }
  });

  it("is read from a Location header byte by byte", () => {
    const header = (text: string, charset: BufferEncoding) => Buffer.from(text, charset).toString("latin1");
    expect(normalizeUrl(locationOf(header("/mühle?ü", "utf8")), "http://a.test/")).toBe(
      "http://a.test/m%C3%BChle?%C3%BC",
    );
    expect(normalizeUrl(locationOf(header("/mühle", "latin1")), "http://a.test/")).toBe("http://a.test/m%FChle");
    expect(normalizeUrl(locationOf(header("http://bücher.test/ä", "utf8")))).toBe("http://xn--bcher-kva.test/%C3%A4");
  });
});

describe("links of a page", () => {
  it("are found in any nesting, once over the page", () => {
    for (const count of [50_000, 100_000, 200_000]) {
      const html = `${"<div><form>".repeat(count)}<a href="/x">x</a>${"</p></div>".repeat(count)}`;
      expect(readLinks(html).links).toEqual(["/x"]);
      expect(readSitemap(`<a>${"<url>".repeat(count)}<loc>http://a.test/</loc>`).pages).toEqual(["http://a.test/"]);
    }
  });

  it("keep entities apart from parameters, and leave scripts and comments out", () => {
    const html =
      '<!-- <a href=no> --><script>"<a href=no>"</script><A HREF="/a?x=1&amp;y=2&copy=3&#252;" href=second>1</A>';
    expect(readLinks(html).links).toEqual(["/a?x=1&y=2&copy=3ü"]);
    expect(readLinks(`<a href="${"x".repeat(30_000)}">`).links).toEqual([]);
  });

  it("come from sitemaps of any size, a bounded number", () => {
    expect(readSitemap("\n".repeat(5_000_000)).pages).toEqual([]);
    expect(readSitemap("http://a.test/1\n".repeat(60_000)).pages.length).toBe(50_000);
    expect(readSitemap("<urlset><loc/><url><loc>a</loc></url></urlset>").pages).toEqual(["", "a"]);
  });
});

describe("addresses that were seen", () => {
  it("are known by their hashes", () => {
    const seen = new AddressSet();
    const added = () => Array.from({ length: 20_000 }, (_, i) => seen.add(`http://a.test/${i}`)).filter((one) => one);
    expect([added().length, added().length]).toEqual([20_000, 0]);
    expect([seen.size, seen.has("http://a.test/7"), seen.has("http://a.test/x")]).toEqual([20_000, true, false]);
  });

  it("are counted up to a bound", () => {
    const counts = new AddressCounts(2);
    expect(["a", "b", "c", "a", "c"].map((text) => counts.add(text))).toEqual([1, 1, 1, 2, 1]);
  });
});
