/**
 * @file A spam classifier, trained on mail that people had sorted into ham (wanted) and spam. It sees only what the sender
 * wrote, since headers would reveal the label. Test mails come from other months and other threads than training mails.
 */
import { type FitResult, fitClassifier, type Labelled } from "../src/data/index.js";
import type { GivenDocument, OnProgress } from "../src/documents/index.js";
import { mailBody, ownWords } from "./mail.js";

/** Maximum share of ham, and of spam, to hold out in whole months. */
const MAX_HELD_OUT = 0.25;
/** One in this many threads outside the held-out months is used for calibration. */
const CALIBRATION_PERIOD = 8;

/**
 * Trains the classifier in a second or two, and writes it with its card to `out`.
 *
 * @param mails with headers, one character per byte
 */
export async function fitMailClassifier(
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

/** Assigns each mail to a split. Whole months are held out, and no thread spans two splits. */
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
  // A thread that began in an earlier month is not held out.
  const learned = new Set(known.filter(({ month }) => !held.has(month)).map(({ thread }) => thread));
  return known.map(({ text, label, month, thread }) => {
    const part =
      held.has(month) && !learned.has(thread)
        ? "test"
        : numberOf(thread) % CALIBRATION_PERIOD === 0
          ? "calibrate"
          : "train";
    return { text, label, group: thread, part };
  });
}

/** The smallest months, up to a quarter of the ham and a quarter of the spam. */
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
    if (ham + size.ham > MAX_HELD_OUT * allHam || spam + size.spam > MAX_HELD_OUT * allSpam) continue;
    held.add(size.month);
    ham += size.ham;
    spam += size.spam;
  }
  return held;
}

/** The month in which the last server received the mail. The sender's own date is often forged in spam. */
function monthOf(mail: string): string {
  const received = /^Received:[^;]*;\s*(?:\w{3},\s*)?\d{1,2}\s+(\w{3})\s+(\d{4})/im.exec(headersOf(mail));
  return received === null ? "" : `${received[2]}-${received[1]}`;
}

/** The subject without the prefixes of replies and mailing lists. */
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

/** FNV-1a, 32 bits. */
const numberOf = (text: string) => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
};
