import { describe, expect, it } from "vitest";
import { Frontier, type FrontierLimits, frontierLimits } from "../../../src/data/crawl/frontier.js";
import type { Waiting } from "../../../src/data/crawl/store.js";

const limits = (more: Partial<FrontierLimits> = {}): FrontierLimits => ({ ...frontierLimits(1000), ...more });
const page = (url: string, via?: string): Waiting => ({
  url,
  depth: 1,
  kind: "page",
  hops: 0,
  ...(via ? { via } : {}),
});

/** Offers addresses until all are offered; gives how many were let in. */
function offer(frontier: Frontier, urls: Iterable<string>): number {
  let admitted = 0;
  for (const url of urls) if (frontier.admit(page(url), true) === null) admitted += 1;
  return admitted;
}
function* addresses(host: string, count: number, length = 0): Generator<string> {
  for (let i = 0; i < count; i++)
    yield `http://${host}/${"x".repeat(length)}${[...`${i}`].map((d) => "abcdefghij"[Number(d)]).join("")}`;
}

describe("the frontier of a crawl", () => {
  it("gives back what it was given, in order, once", () => {
    const frontier = new Frontier(limits());
    expect(offer(frontier, addresses("a.test", 5000))).toBe(5000);
    expect(offer(frontier, addresses("a.test", 5000))).toBe(0);
    const taken: string[] = [];
    for (let entry = frontier.take("http://a.test"); entry !== null; entry = frontier.take("http://a.test"))
      taken.push(entry.url);
    expect(taken).toEqual([...addresses("a.test", 5000)]);
    expect([frontier.waiting, frontier.take("http://b.test")]).toEqual([0, null]);
    expect(offer(frontier, addresses("a.test", 5000))).toBe(0);
  });

  it("takes no more addresses than its limit, of one host half of them", () => {
    const frontier = new Frontier(limits({ waiting: 1000 }));
    expect(offer(frontier, addresses("a.test", 5000))).toBe(500);
    expect(offer(frontier, addresses("b.test", 400))).toBe(400);
    expect(offer(frontier, addresses("c.test", 400))).toBe(100);
    expect(frontier.admit(page("http://a.test/more"), true)).toBe("beyond the number of addresses");
    expect(frontier.admit(page("http://a.test/more"), true)).toBe("");
    // What was refused for want of room is let in when there is some.
    frontier.take("http://a.test");
    expect(frontier.admit(page("http://a.test/more"), true)).toBeNull();
  });

  it("takes no more characters than its limits, however many addresses those are", () => {
    for (const length of [100, 500, 1900]) {
      const frontier = new Frontier(limits({ waitingCharacters: 200_000 }));
      const admitted = offer(frontier, addresses("a.test", 2000, length));
      expect(admitted * (length + 100)).toBeLessThanOrEqual(100_000);
      expect(admitted * (length + 130)).toBeGreaterThan(95_000);
    }
    // Of all that was ever let in too: the log does not shrink.
    const frontier = new Frontier(limits({ characters: 200_000 }));
    let admitted = 0;
    for (const url of addresses("a.test", 5000)) {
      if (frontier.admit(page(url), true) === null) admitted += 1;
      frontier.take("http://a.test");
    }
    expect(admitted).toBeLessThan(1000);
  });

  it("takes a bounded number of hosts", () => {
    const frontier = new Frontier(limits({ origins: 10 }));
    for (let i = 0; i < 10; i++) expect(frontier.admit(page(`http://h${i}.test/`), true)).toBeNull();
    expect(frontier.admit(page("http://h10.test/"), true)).toBe("beyond the number of hosts");
    expect(frontier.admit(page("http://h3.test/more"), true)).toBeNull();
  });

  it("holds a log of any length to the same limits", () => {
    const frontier = new Frontier(limits({ waiting: 1000 }));
    let room = 0;
    for (const url of addresses("a.test", 5000)) if (frontier.replayFound(page(url, "http://a.test/"))) room += 1;
    expect([room, frontier.waiting]).toEqual([500, 500]);
    frontier.replayDone("http://a.test/a", "kept", () => false);
    frontier.replayDone("http://a.test/b", "too slow", () => true);
    expect(frontier.finishReplay()).toEqual(["http://a.test"]);
    expect([frontier.waiting, frontier.waitingAt("http://a.test")]).toEqual([499, 499]);
    expect(frontier.take("http://a.test")).toMatchObject({ url: "http://a.test/b", before: "too slow" });
    expect(frontier.admit(page("http://a.test/a"), true)).toBe("");
  });

  it("counts each refused address once, and begins at a start whatever it looks like", () => {
    const frontier = new Frontier(limits());
    expect(frontier.admit(page("http://b.test/"), false)).toBe("out of scope");
    expect(frontier.admit(page("http://b.test/"), false)).toBe("");
    const deep = `http://a.test/${"d/".repeat(20)}`;
    expect(frontier.admit(page(deep), true)).toBe("a very deep path");
    expect(frontier.admit({ ...page(deep), depth: 0 }, true)).toBeNull();
  });

  it("goes on counting traps after a resume", () => {
    const frontier = new Frontier(limits());
    for (let i = 0; i < 90; i++) frontier.replayFound(page(`http://a.test/s?q=${"a".repeat(i)}`));
    frontier.finishReplay();
    const found = Array.from({ length: 50 }, (_, i) => `http://a.test/s?q=${"b".repeat(i + 1)}`);
    expect(offer(frontier, found)).toBe(10);
  });
});
