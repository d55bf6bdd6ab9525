/** Raw mail: what a mail says, and the way of dirty text through the speedrun's recipe. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mailBody, ownWords } from "../../recipes/mail.js";
import { labelledMails } from "../../recipes/mail-classifier.js";
import { makeSpeedrunCorpus, speedrunText, writeRawText } from "../../recipes/speedrun-text.js";
import { clean } from "../../src/data/index.js";

const mail = (headers: string, body: string) => `From: a@example.com\n${headers}\n\n${body}`;
const mailText = async (raw: string) => ownWords(await mailBody({ text: raw }));
const bytes = (text: string) => Buffer.from(text).toString("latin1");

describe("what a mail says", () => {
  it("is its body, without headers, quotes, signature and list footer", async () => {
    const text = await mailText(
      mail(
        "Subject: Re: x\nReceived: from here\n\tby there",
        "On Monday Ann wrote:\n> old words\n|more old\nNew words.\n\n-- \nBob\nfooter",
      ),
    );
    expect(text).toBe("New words.");
    expect(await mailText(mail("Subject: x", `Hello.\n${"_".repeat(47)}\nList mailing list\nhttp://x`))).toBe("Hello.");
  });

  const charsets: [string, string][] = [
    ['text/plain; charset="iso-8859-1"', "caf\xe9"],
    ["text/plain; charset=utf-8", bytes("café")],
    // Nothing is said, or something untrue: the bytes tell.
    ["text/plain", bytes("café")],
    ["text/plain; charset=DEFAULT_CHARSET", "caf\xe9"],
  ];
  it.each(charsets)("in its charset (%s)", async (type, body) => {
    expect(await mailText(mail(`Content-Type: ${type}`, body))).toBe("café");
  });

  it("in quoted-printable and base64", async () => {
    const qp = mail(
      "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable",
      "caf=C3=A9 and a line=\n that goes on, 1=2 as it is",
    );
    expect(await mailText(qp)).toBe("café and a line that goes on, 1=2 as it is");
    const base64 = Buffer.from("Das ist ein Brief.").toString("base64");
    expect(await mailText(mail("Content-Transfer-Encoding: BASE64", base64))).toBe("Das ist ein Brief.");
  });

  it("once where it comes in several forms, and never an attachment", async () => {
    const body = [
      "preamble",
      "--b1",
      'Content-Type: multipart/alternative; boundary="b 2"',
      "",
      "--b 2",
      "",
      "The plain words.",
      "--b 2",
      "Content-Type: text/html",
      "",
      "<p>The <b>other</b> words.</p>",
      "--b 2--",
      "--b1",
      "Content-Type: text/plain",
      "Content-Disposition: attachment; filename=x.txt",
      "",
      "attached",
      "--b1",
      "Content-Type: image/gif",
      "Content-Transfer-Encoding: base64",
      "",
      "R0lGODlh",
      "--b1--",
      "epilogue",
    ].join("\n");
    expect(await mailText(mail("Content-Type: multipart/mixed;\n boundary=b1", body))).toBe("The plain words.");
  });

  it("with the mail that another carries, without its headers", async () => {
    const inner = mail("Subject: inner\nContent-Type: text/plain; charset=iso-8859-1", "The inner caf\xe9.");
    const body = ["--b", "", "See below.", "--b", "Content-Type: message/rfc822", "", inner, "--b--"].join("\n");
    expect(await mailText(mail('Content-Type: multipart/mixed; boundary="b"', body))).toBe(
      "See below.\n\nThe inner café.",
    );
    // A type without its semicolon, and mails within mails without end.
    expect(await mailText(mail("Content-Type: TEXT/PLAIN charset=US-ASCII", "Words."))).toBe("Words.");
    const deep = Array.from({ length: 300 }, (_, i) => `Content-Type: multipart/mixed; boundary="${i}"\n\n--${i}`);
    expect(await mailText(deep.join("\n"))).toBe("");
  });

  it("by the extractor where it is HTML, also under a false name", async () => {
    const html = "<html><body><p>One &amp; two, said in a sentence.</p><style>p{}</style></body></html>";
    expect(await mailText(mail("Content-Type: text/html", html))).toBe("One & two, said in a sentence.");
    expect(await mailText(mail("Content-Type: text/plain", html))).toBe("One & two, said in a sentence.");
  });

  it("is nothing, or anything, but never an error", async () => {
    expect(await mailText("")).toBe("");
    expect(await mailText(mail("Content-Type: multipart/mixed", "no boundary"))).toBe("");
    const headers = fc.constantFrom(
      "Content-Type: text/html",
      'Content-Type: multipart/mixed; boundary="b"',
      "Content-Transfer-Encoding: base64",
      "Content-Transfer-Encoding: quoted-printable",
      "Content-Type: message/rfc822",
    );
    const lines = fc.array(
      fc.oneof(headers, fc.constantFrom("--b", "--b--", "", "=E9=\n", "\xe9\x00<table>"), fc.string()),
    );
    await fc.assert(
      fc.asyncProperty(lines, async (list) => typeof (await mailText(list.join("\n"))) === "string"),
      { numRuns: 300 },
    );
  });
});

describe("the speedrun's recipe", () => {
  let run: string;
  beforeAll(async () => {
    run = await mkdtemp(join(tmpdir(), "quern-mail-"));
  });
  afterAll(() => rm(run, { recursive: true, force: true }));

  const words =
    "The committee met on Tuesday, and it was agreed that the new server should be in the other building before the end of " +
    "the year. Ask Jo (jo.smith@example.org) if you have a question about that.";
  const documents = [
    { id: "good", source: "mail", text: mail("Subject: minutes", words) },
    { id: "spam", source: "mail", text: mail("Subject: !!", `${"BUY NOW 100% $$$ !!! ".repeat(40)}`) },
    { id: "short", source: "mail", text: mail("Subject: ok", "Yes, fine.") },
    {
      id: "german",
      source: "mail",
      text: mail("Subject: de", "Das ist ein Brief auf Deutsch, der von nichts handelt. ".repeat(4)),
    },
    { id: "page", source: "dictionary", text: "cat: a feline mammal. dog: a canine. ".repeat(20) },
  ];

  it("keeps what is fit to learn from, and its funnel adds up", async () => {
    const inputs = await writeRawText(documents, run);
    const { funnel, out } = await clean({ inputs, recipe: speedrunText, out: join(run, "clean") });
    expect(funnel.faults).toEqual([]);
    const kept = (
      await Promise.all(["00000", "00001"].map((task) => readFile(join(out, `documents/${task}.jsonl`), "utf8")))
    )
      .flatMap((lines) => lines.trim().split("\n"))
      .map((line) => JSON.parse(line));
    expect(kept.map(({ id }) => id)).toEqual(["good", "page"]);
    expect(kept[0].text).toContain("Ask Jo (<EMAIL>)");
    // Every document is traced back to the raw line that it was.
    const { archive, offset } = kept[0].origin;
    const raw = await readFile(archive, "utf8");
    expect(JSON.parse(raw.slice(offset, raw.indexOf("\n", offset))).id).toBe("good");
    const reasons = Object.assign({}, ...funnel.steps.map((step) => step.reasons));
    expect(reasons).toHaveProperty("too_few_words");
    expect(reasons).toHaveProperty("language_de");
    expect(await readFile(join(out, "report.html"), "utf8")).toContain("The funnel of speedrun");
  });

  const [wanted, unwanted] = [
    "committee server building meeting minutes kernel patch version compiler network library question answer project release",
    "offer prize winner credit order discount money account bonus casino pills mortgage deal guarantee shipping",
  ].map((list) => list.split(" "));
  const sentence = (spam: boolean, seed: number) => {
    let state = seed + 1;
    const word = () => {
      state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
      return (spam ? unwanted : wanted)[(state >>> 9) % 15];
    };
    return `I have seen the ${word()} and the ${word()} of the ${word()} that you ${word()} with ${word()} to be in ${word()}`;
  };

  /** Sorted mail of some months; every third answers the one before it. */
  const sorted = ["easy-ham-1", "spam-1"].flatMap((folder) =>
    Array.from({ length: 90 }, (_, i) => {
      const month = ["Jun", "Jul", "Aug", "Sep", "Oct"][i % 5];
      const subject = i % 3 === 2 ? `Re: [list] the mail ${i - 1} of ${folder}` : `The mail ${i} of ${folder}`;
      const headers = `Received: by x; Mon, ${1 + (i % 28)} ${month} 2002 10:00:00 +0000\nDate: Thu, 1 Jan 1980\nSubject: ${subject}`;
      const body = Array.from({ length: 8 }, (_, n) => `${sentence(folder.startsWith("spam"), i * 8 + n)}.`).join("\n");
      return { id: `${folder}/${i}`, source: "mail", text: mail(headers, body) };
    }),
  );

  it("tests the classifier on months and threads it was not trained on", async () => {
    const labelled = await labelledMails(sorted);
    const parts = new Map<string, Set<string>>();
    for (const { group = "", part = "" } of labelled) parts.set(group, (parts.get(group) ?? new Set()).add(part));
    expect([...parts.values()].every(({ size }) => size === 1)).toBe(true);
    expect(parts.size).toBeLessThan(sorted.length);
    const tested = labelled.flatMap(({ part }, i) =>
      part === "test" ? [sorted[i].text.match(/\d (\w{3}) 2002/)?.[1]] : [],
    );
    expect(new Set(tested)).toEqual(new Set(["Aug"]));
    const others = labelled.flatMap(({ part }, i) =>
      part === "train" ? [sorted[i].text.match(/\d (\w{3}) 2002/)?.[1]] : [],
    );
    expect(new Set(others).size).toBe(5); // threads that began before stay where they began
  });

  it("makes a corpus without duplicates, spam and held-out text", async () => {
    const twice = [...documents, { ...documents[0], id: "copy" }];
    const chapters = Array.from({ length: 60 }, (_, i) => ({
      id: `chapter ${i}`,
      source: "book",
      text: Array.from(
        { length: 30 },
        (_, n) => `In chapter ${i} the captain said ${n * i} words to the mate number ${(n * 7919 + i * 31) % 997}.`,
      ).join("\n"),
    }));
    const { corpus, spamClassifier, heldOut } = await makeSpeedrunCorpus(
      [...twice, ...sorted, ...chapters],
      sorted,
      join(run, "made"),
      {},
    );
    expect(spamClassifier.right).toBeGreaterThan(0.9);
    const step = (name: string) => corpus.steps.find((each) => each.step === name)?.documents.dropped ?? 0;
    expect(step("duplicates: document")).toBe(1);
    expect(step("quality")).toBeGreaterThan(0);
    expect(heldOut.length).toBe(step("held out"));
    expect(heldOut.length).toBeGreaterThan(0);
    const lines = (await readFile(join(corpus.documents, "00000.jsonl"), "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.length).toBe(corpus.mix.written);
    const ids = new Set(lines.map(({ id }) => id));
    expect(heldOut.filter(({ id }) => ids.has(id))).toEqual([]);
    expect(corpus.contamination?.[0].name).toBe("heldout");
    expect(lines.filter(({ id, quality }) => /^(spam|easy)/.test(id) && quality < 0.5)).toEqual([]);
  });
});
