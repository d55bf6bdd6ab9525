/**
 * @file A judge of mail, learned from how people had sorted it: wanted mail (ham) or not (spam), by what the writer says
 * alone, since headers would give it away. What it is tested on is of other months and other threads than what it learned.
 */
import { type FitResult, fitClassifier, type Labelled } from "../src/data/index.js";
import type { GivenDocument, OnProgress } from "../src/documents/index.js";
import { mailBody, ownWords } from "./mail.js";

/** The most of either kind that is held out, in whole months. */
const MOST_HELD_OUT = 0.25;
/** Threads that calibrate, of those that are not held out. */
const CALIBRATING = 8;

/** Fits the judge into `out`, with its card; a second or two. The mails are a character a byte, headers and all. */
export async function fitMailJudge(
  mails: readonly GivenDocument[],
  out: string,
  calls: { readonly signal?: AbortSignal; readonly onProgress?: OnProgress },
): Promise<FitResult> {
  return fitClassifier({
    examples: await labelledMails(mails),
    out,
    good: "ham",
    training: { dim: 16, epoch: 8, lr: 0.5, wordNgrams: 2, bucket: 100_000 },
    ...calls,
  });
}

/** Mails with the part that each is for: whole months are held out, and threads never go on from one part into another. */
export async function labelledMails(mails: readonly GivenDocument[]): Promise<Labelled[]> {
  const known: { readonly text: string; readonly label: string; readonly month: string; readonly thread: string }[] =
    [];
  for (const mail of mails) {
    const { text, id = "" } = mail;
    known.push({
      text: ownWords(await mailBody(mail)),
      label: id.startsWith("spam") ? "spam" : "ham",
      month: monthOf(text),
      thread: threadOf(text) || id,
    });
  }
  const held = heldOutMonths(known);
  // A thread that began before is not held out in its later months.
  const learned = new Set(known.filter(({ month }) => !held.has(month)).map(({ thread }) => thread));
  return known.map(({ text, label, month, thread }) => {
    const part =
      held.has(month) && !learned.has(thread) ? "test" : numberOf(thread) % CALIBRATING === 0 ? "calibrate" : "train";
    return { text, label, group: thread, part };
  });
}

/** The smallest months, while neither kind gives more than a quarter. */
function heldOutMonths(mails: readonly { readonly month: string; readonly label: string }[]): ReadonlySet<string> {
  const count = (label: string, month?: string) =>
    mails.filter((mail) => mail.label === label && (month === undefined || mail.month === month)).length;
  const months = [...new Set(mails.map(({ month }) => month))].filter((month) => month !== "");
  const sizes = months.map((month) => ({ month, ham: count("ham", month), spam: count("spam", month) }));
  sizes.sort((a, b) => a.ham + a.spam - b.ham - b.spam || (a.month < b.month ? -1 : 1));
  const [allHam, allSpam] = [count("ham"), count("spam")];
  const held = new Set<string>();
  let [ham, spam] = [0, 0];
  for (const size of sizes) {
    if (ham + size.ham > MOST_HELD_OUT * allHam || spam + size.spam > MOST_HELD_OUT * allSpam) continue;
    held.add(size.month);
    ham += size.ham;
    spam += size.spam;
  }
  return held;
}

/** When the last server had it: what the sender says of the time is often a lie in spam. */
function monthOf(mail: string): string {
  const received = /^Received:[^;]*;\s*(?:\w{3},\s*)?\d{1,2}\s+(\w{3})\s+(\d{4})/im.exec(headersOf(mail));
  return received === null ? "" : `${received[2]}-${received[1]}`;
}

/** A subject without what answers and mailing lists put before it. */
function threadOf(mail: string): string {
  const subject = /^Subject:(.*)$/im.exec(headersOf(mail))?.[1] ?? "";
  return subject
    .replace(/\[[^\]]*\]/g, " ")
    .replace(/^(\s*(re|fwd?|aw|was)\s*(\[\d+\])?:)+/i, " ")
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim()
    .toLowerCase();
}

const headersOf = (mail: string) => {
  const end = mail.search(/\r?\n\r?\n/);
  return (end < 0 ? mail : mail.slice(0, end)).replace(/\r?\n[ \t]+/g, " ");
};

/** FNV-1a. */
const numberOf = (text: string) => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
};
