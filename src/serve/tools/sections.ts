/**
 * @file Formats in which an answer is a sequence of sections. Each begins with a header that says whom it is for: the user, a
 * function, or nobody, such as the reasoning of gpt-oss.
 */

export type Recipient = { readonly to: "user" | "nobody" } | { readonly to: "function"; readonly name: string };

export interface Sections {
  /** Ends a header; the text of the section follows. */
  readonly headerEnd: string;
  /** Each ends a section; the end of the answer does too. */
  readonly ends: readonly string[];
  /** Begins a section for the user. */
  readonly textStart: string;
  /** Occurs only in front of the name of a function. */
  readonly trigger: string;
  /** Whether an answer may begin with other headers than those of the user and of a call. */
  readonly isOpen: boolean;
  /** Whether a text may be the beginning of a header. */
  mayBegin(text: string): boolean;
  /** Reads a header; null if it is none. */
  recipientOf(header: string, isTool: (name: string) => boolean): Recipient | null;
}

/** Whether one of two texts begins with the other. */
const agree = (a: string, b: string) => a.startsWith(b) || b.startsWith(a);

/** gpt-oss (OpenAI's harmony format): channels, and recipients in either half of a header. */
export const HARMONY: Sections = {
  headerEnd: "<|message|>",
  ends: ["<|end|>", "<|return|>", "<|call|>"],
  textStart: "<|channel|>final<|message|>",
  trigger: " to=functions.",
  isOpen: true,
  mayBegin: (text) => ["<|", "to="].some((start) => agree(text.trimStart(), start)),
  recipientOf(header, isTool) {
    const [, wanted] = /(?:^|\s)to=(\S+?)(?=\s|<|$)/.exec(header) ?? [];
    if (wanted === undefined && !header.includes("<|channel|>")) return null;
    if (wanted === undefined) {
      // Commentary without a recipient is what the model tells the user before its calls.
      return { to: /<\|channel\|>\s*(final|commentary)/.test(header) ? "user" : "nobody" };
    }
    const name = wanted.replace(/^functions\./, "");
    // The model may write to tools that this server does not have, such as its Python.
    return name !== wanted && isTool(name) ? { to: "function", name } : { to: "nobody" };
  },
};

/** Functionary 3.2: a line with the recipient, which is a function or `all`; the prompt ends with the first mark. */
export const FUNCTIONARY: Sections = {
  headerEnd: "\n",
  ends: [">>>"],
  textStart: "all\n",
  trigger: ">>>",
  isOpen: false,
  mayBegin: (text) => /^\s*[\w-]*\s*$/.test(text),
  recipientOf(header, isTool) {
    const name = header.trim();
    return name === "all" ? { to: "user" } : isTool(name) ? { to: "function", name } : null;
  },
};
