import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LARGEST_ROBOTS, robotsFrom } from "../../../src/data/crawl/robots.js";

const at = "https://a.test";
const read = (text: string | Uint8Array, status = 200) => robotsFrom(`${at}/robots.txt`, status, text);
/** Allowed paths of those given. */
const allowed = (text: string | Uint8Array, ...paths: string[]) => {
  const robots = read(text);
  return paths.filter((path) => robots.allows(at + path));
};
const rules = (...lines: string[]) => ["User-agent: *", ...lines].join("\n");

describe("groups of a robots.txt", () => {
  it("is not ended by lines that are no rules", () => {
    for (const line of ["Sitemap: https://a.test/s.xml", "Crawl-delay: 3", "Host: a.test", "whatever", "", "# note"]) {
      expect([line, allowed(`User-agent: quern\n${line}\nUser-agent: other\nDisallow: /\n`, "/x")]).toEqual([line, []]);
    }
    // A rule ends it.
    expect(allowed("User-agent: quern\nAllow: /\nUser-agent: other\nDisallow: /\n", "/x")).toEqual(["/x"]);
    // Even an empty one.
    expect(allowed("User-agent: quern\nDisallow:\nUser-agent: other\nDisallow: /\n", "/x")).toEqual(["/x"]);
  });

  it("is merged with others of the same name, and replaces the one for everyone", () => {
    const text = "User-agent: quern\nDisallow: /a\n\nUser-agent: *\nDisallow: /c\n\nUser-Agent: QUERN\nDisallow: /b\n";
    expect(allowed(text, "/a", "/b", "/c")).toEqual(["/c"]);
    expect(allowed("User-agent: *\nDisallow: /a\nUser-agent: *\nDisallow: /b\n", "/a", "/b", "/c")).toEqual(["/c"]);
    expect(allowed("User-agent: quern\nUser-agent: *\nDisallow: /a\n", "/a")).toEqual([]);
    expect(allowed("Disallow: /\nUser-agent: *\nDisallow: /a\n", "/a", "/b")).toEqual(["/b"]);
  });

  it("is found by the product token, whatever its case and version", () => {
    for (const name of ["quern", "Quern", "QUERN/1.0", "Quern (a crawler)", "quern*"]) {
      expect([name, allowed(`User-agent: ${name}\nDisallow: /\n`, "/x")]).toEqual([name, []]);
    }
    for (const name of ["quern-news", "querns", "que", "my quern", "*bot", ""]) {
      expect([name, allowed(`User-agent: ${name}\nDisallow: /\n`, "/x")]).toEqual([name, ["/x"]]);
    }
  });

  it("takes the delay of the agents that stand above it", () => {
    expect(read("User-agent: slow\nCrawl-delay: 90\n\nUser-agent: *\nDisallow: /a\n").delay).toBeUndefined();
    expect(read("User-agent: *\nCrawl-delay: 2.5\n").delay).toBe(2.5);
    expect(read("User-agent: *\nCrawl-delay: 2\nUser-agent: quern\nDisallow: /a\nCrawl-delay: 7\n").delay).toBe(7);
    for (const value of ["", "-1", "soon", "Infinity"]) {
      expect(read(`User-agent: *\nCrawl-delay: ${value}\n`).delay).toBeUndefined();
    }
  });
});

describe("lines of a robots.txt", () => {
  it("end with CR, LF or both, and may begin with a byte order mark", () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      const text = `\ufeffUser-agent: *${end}Disallow: /a # not this${end}  DISALLOW :\t/b  ${end}`;
      expect(allowed(text, "/a", "/b", "/c")).toEqual(["/c"]);
    }
  });

  it("are read with the slips that search engines forgive", () => {
    expect(allowed("Useragent: *\nDissallow: /a\nDisallow /b\nDisalow: /c\n", "/a", "/b", "/c", "/d")).toEqual(["/d"]);
    expect(allowed("user agent *\nDisallow: /a\n", "/a")).toEqual(["/a"]);
  });

  it("count up to the limit of 500 kB, whole ones only", () => {
    const filler = `${"#".repeat(1023)}\n`;
    const most = LARGEST_ROBOTS / filler.length;
    const head = "User-agent: *\n";
    const long = head + filler.repeat(most - 1);
    expect(allowed(`${long}Disallow: /a\n${filler}`, "/a")).toEqual([]);
    expect(allowed(`${head}${filler.repeat(most)}Disallow: /a\n`, "/a")).toEqual(["/a"]);
    // The line that is cut would allow more than its author wrote.
    const room = LARGEST_ROBOTS - long.length - "Disallow: /\n".length;
    const cut = `${long}Disallow: /\n${"#".repeat(room - 10)}\nAllow: /abc/def\n`;
    expect(allowed(cut, "/abc/def")).toEqual([]);
  });

  it("name sitemaps in any place, a bounded number", () => {
    expect(read("Sitemap: https://a.test/ü.xml\nUser-agent: x\nsitemap:/b.xml").sitemaps).toEqual([
      "https://a.test/ü.xml",
      "/b.xml",
    ]);
    expect(read("Sitemap: https://a.test/s.xml\n".repeat(10_000)).sitemaps.length).toBe(200);
  });
});

describe("paths of a robots.txt", () => {
  it("are compared octet by octet, however they are escaped", () => {
    const equal = [
      ["/~mill", "/%7Emill"],
      ["/%7emill", "/~mill"],
      ["/mühle", "/m%c3%bchle"],
      ["/m%C3%BChle", "/mühle"],
      ["/m%c3%bchle", "/m%C3%BChle"],
      ["/a%3cd.html", "/a%3Cd.html"],
      ["/%62%61%7A", "/baz"],
      ["/a b", "/a%20b"],
      ["/a!b", "/a%21b"],
      ["/x?to=http://b.test", "/x?to=http%3A%2F%2Fb.test"],
      ["/x?to=http%3A%2F%2Fb.test", "/x?to=http://b.test"],
      ["/*%2F", "/x?to=%2Fa"],
      ["/*/inner", "/x?to=/inner"],
      ["/a%2A", "/a*"],
      ["/a%24", "/a$"],
      ["/a$b", "/a$b"],
      ["/%zz", "/%zz"],
    ];
    for (const [rule, path] of equal) expect([rule, allowed(rules(`Disallow: ${rule}`), path)]).toEqual([rule, []]);
    const different = [
      ["/a%2Fb", "/a/b"],
      ["/a/b", "/a%2Fb"],
      ["/a%3Fb", "/a?b"],
      ["/a%2Ab", "/axb"],
      ["/A", "/a"],
      ["/x?a=1%26b", "/x?a=1&b"],
      ["/%2541", "/A"],
    ];
    for (const [rule, path] of different) {
      expect([rule, allowed(rules(`Disallow: ${rule}`), path)]).toEqual([rule, [path]]);
    }
    // A file that is not UTF-8: its bytes are those of the address.
    const bytes = Buffer.from("User-agent: *\nDisallow: /p\xf3t\n", "latin1");
    expect(allowed(bytes, "/p%F3t", "/p%C3%B3t")).toEqual(["/p%C3%B3t"]);
  });

  it("may hold wildcards and an end", () => {
    const table: [string, string[], string[]][] = [
      ["/fish", ["/fish", "/fish.html", "/fish/a", "/fishes?x"], ["/Fish", "/cat/fish", "/?id=fish", "/fis"]],
      ["/fish*", ["/fish", "/fishes"], ["/Fish", "/cat/fish"]],
      ["/fish/", ["/fish/", "/fish/?id=1", "/fish/a"], ["/fish", "/fish.html"]],
      ["/*.php", ["/a.php", "/b/a.php?x", "/a.php5", "/a/b.php/"], ["/", "/a.PHP"]],
      ["/*.php$", ["/a.php", "/b/a.php"], ["/a.php?x", "/a.php/", "/a.php5"]],
      ["/a*b*c$", ["/abc", "/a1b2c", "/abcbc"], ["/abcd", "/acb"]],
      ["*/secret", ["/secret", "/a/secret"], ["/secre"]],
      ["/$", ["/"], ["/a"]],
      ["/?", ["/?", "/?a"], ["/", "/a?"]],
      ["/**a***$", ["/a", "/ba", "/ab"], ["/b"]],
      ["", [], ["/", "/a"]],
      ["a", [], ["/", "/a"]],
    ];
    for (const [rule, forbidden, open] of table) {
      expect([rule, allowed(rules(`Disallow: ${rule}`), ...forbidden, ...open)]).toEqual([rule, open]);
    }
  });

  it("are weighed by their length, and a tie allows", () => {
    const both = (allow: string, disallow: string, path: string) =>
      allowed(rules(`Allow: ${allow}`, `Disallow: ${disallow}`), path).length === 1;
    expect(both("/p", "/", "/page")).toBe(true);
    expect(both("/folder", "/folder", "/folder/a")).toBe(true);
    expect(both("/page", "/*.htm", "/page.htm")).toBe(false);
    expect(both("/page", "/*.ph", "/page.php5")).toBe(true);
    expect(both("/$", "/", "/")).toBe(true);
    expect(both("/$", "/", "/a.htm")).toBe(false);
    expect(both("/a/b", "/a/b/c", "/a/b/c")).toBe(false);
    expect(allowed(rules("Disallow: /"), "/robots.txt", "/robots.txt?x", "/a")).toEqual([
      "/robots.txt",
      "/robots.txt?x",
    ]);
  });

  it("match as the grammar says, for any rules", () => {
    const piece = fc.array(fc.constantFrom("a", "b", "/", "*", "$", "?"), { maxLength: 8 });
    const pattern = piece.map((text) => `/${text.join("")}`);
    const path = fc.array(fc.constantFrom("a", "b", "/", "?"), { maxLength: 10 }).map((text) => `/x${text.join("")}`);
    const rule = fc.record({ pattern: pattern.map((text) => text.replace("/", "/x")), allow: fc.boolean() });
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 5 }), path, (all, where) => {
        const text = rules(...all.map((one) => `${one.allow ? "Allow" : "Disallow"}: ${one.pattern}`));
        const best = all
          .filter((one) => plainMatch(one.pattern, where))
          .map((one) => [one.pattern.replace(/\$(?!$)/g, "%24").replace(/\*+/g, "*").length, one.allow] as const)
          .sort(([a, x], [b, y]) => b - a || Number(y) - Number(x));
        expect(read(text).allows(at + where)).toBe(best[0]?.[1] ?? true);
      }),
      { numRuns: 2000, seed: 9309 },
    );
  });

  it("take time in proportion to file and address, whatever the wildcards", () => {
    const path = `/${"a".repeat(1900)}`;
    for (const count of [5000, 10_000, 20_000]) {
      const searches = countSearches(() => {
        // Backtracking would need more steps than there are atoms.
        expect(allowed(rules(`Disallow: /${"*a".repeat(count)}*b`), path)).toEqual([path]);
        expect(allowed(rules(...Array.from({ length: count }, (_, i) => `Disallow: /*a*${i}b`)), path)).toEqual([path]);
      });
      expect(searches).toBeLessThan(12 * count + 10_000);
    }
  });
});

describe("a robots.txt that names one agent again and again", () => {
  it("has one group for it", () => {
    const lines = ["User-agent: quern\n".repeat(12_000), "Disallow: /a\n".repeat(12_000)];
    // Each rule for each naming would be 144 million.
    expect(allowed(lines.join(""), "/a", "/b")).toEqual(["/b"]);
    expect(allowed(`${"User-agent: *\n".repeat(12_000)}${lines[1]}`, "/a", "/b")).toEqual(["/b"]);
  });
});

describe("a robots.txt that is not there", () => {
  it("allows everything for 4xx, nothing for a server that fails", () => {
    for (const status of [400, 401, 403, 404, 410, 451])
      expect(read("User-agent: *\nDisallow: /", status).allows(`${at}/x`)).toBe(true);
    for (const status of [429, 500, 503, 599]) {
      const robots = read("User-agent: *\nAllow: /", status);
      expect([robots.allows(`${at}/x`), robots.problem]).toEqual([false, `status ${status}`]);
    }
    expect(robotsFrom(`${at}/robots.txt`, null, "").problem).toBe("no answer");
  });
});

/** The grammar's meaning of a pattern, by trying everything. */
function plainMatch(pattern: string, path: string): boolean {
  const isEnd = pattern.endsWith("$");
  const text = isEnd ? pattern.slice(0, -1) : pattern;
  const from = (p: number, at: number): boolean => {
    if (p === text.length) return !isEnd || at === path.length;
    if (text[p] === "*") return from(p + 1, at) || (at < path.length && from(p, at + 1));
    return path[at] === text[p] && from(p + 1, at + 1);
  };
  return from(0, 0);
}

/** How often a text is searched for a piece. */
function countSearches(run: () => void): number {
  const { indexOf } = String.prototype;
  let count = 0;
  String.prototype.indexOf = function (this: string, ...all: Parameters<typeof indexOf>) {
    count += 1;
    return indexOf.apply(this, all);
  };
  try {
    run();
  } finally {
    String.prototype.indexOf = indexOf;
  }
  return count;
}
