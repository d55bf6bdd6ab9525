/**
 * @file A share of the pretokens in another thread. The two threads speak through shared memory, some hundred thousand times
 * a second: who waits looks again and again for a while, then sleeps.
 */
import { type MergeNeighbours, MergeShare, type ShareAlphabet, type ShareText } from "./merge-share.js";

/** What a share's thread is told: its text, and the memory that both see. */
export interface ShareTask {
  readonly text: ShareText;
  readonly alphabet: ShareAlphabet;
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly neighbours: MergeNeighbours;
}

/** Places of the control words: merges asked for, merges made (0 before the thread is ready), the merge, its neighbours. */
const ASKED = 0;
const MADE = 1;
const PAIR = 2;
const LEFT = 3;
const RIGHT = 4;
const TOKEN = 5;
const SIZE = 6;
/** Instead of a pair: there is no more to do. */
const NONE = -1;

/** Looks at a word before sleeping, some tenths of a millisecond: to fall asleep and wake takes about as long as a merge. */
const LOOKS = 100_000;
/** Milliseconds that the asking thread sleeps at most, so that it can see to other work. */
const NAP = 20;

/** Sleeps until control[word] is no longer `old`, or so many milliseconds. */
function changed(control: Int32Array<SharedArrayBuffer>, word: number, old: number, most: number): boolean {
  for (let look = 0; look < LOOKS; look++) if (Atomics.load(control, word) !== old) return true;
  return Atomics.wait(control, word, old, most) !== "timed-out";
}

/** Room for the neighbours of a merge among so many tokens, which threads can share. */
export function neighboursFor(tokens: number): MergeNeighbours {
  return {
    size: 0,
    ids: new Int32Array(new SharedArrayBuffer(tokens * 8)),
    times: new Float64Array(new SharedArrayBuffer(tokens * 16)),
    numbers: new Int32Array(new SharedArrayBuffer(tokens * 8)),
  };
}

/** A share's other side, in the thread that asks for merges. */
export class DistantShare {
  readonly task: ShareTask;
  readonly neighbours: MergeNeighbours;
  #asked = 0;

  constructor(text: ShareText, alphabet: ShareAlphabet, tokens: number) {
    this.neighbours = neighboursFor(tokens);
    const control = new Int32Array(new SharedArrayBuffer(64));
    this.task = { text, alphabet, control, neighbours: this.neighbours };
  }

  /** Asks for a merge; the pairs of the one before have their numbers by now. */
  ask(pair: number, left: number, right: number, token: number): void {
    const { control } = this.task;
    control[PAIR] = pair;
    control[LEFT] = left;
    control[RIGHT] = right;
    control[TOKEN] = token;
    Atomics.store(control, ASKED, ++this.#asked);
    Atomics.notify(control, ASKED);
  }

  /** True if the merge has been made, and then `neighbours` tells; false after some time without it. */
  isMade(): boolean {
    const { control } = this.task;
    while (Atomics.load(control, MADE) !== this.#asked) {
      if (!changed(control, MADE, this.#asked - 1, NAP)) return false;
    }
    this.neighbours.size = control[SIZE];
    return true;
  }

  /** Lets the thread do other work. */
  end(): void {
    this.ask(NONE, 0, 0, 0);
  }
}

/** Makes the merges that are asked for, until there are no more; blocks its thread. */
export function serveShare({ text, alphabet, control, neighbours }: ShareTask): void {
  const share = new MergeShare(text, alphabet, neighbours);
  for (let made = 0; ; made++) {
    while (Atomics.load(control, ASKED) === made) changed(control, ASKED, made, Number.POSITIVE_INFINITY);
    if (control[PAIR] === NONE) return;
    if (made > 0) share.list();
    share.merge(control[PAIR], control[LEFT], control[RIGHT], control[TOKEN]);
    control[SIZE] = neighbours.size;
    Atomics.store(control, MADE, made + 1);
    Atomics.notify(control, MADE);
  }
}
