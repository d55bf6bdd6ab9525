/** @file The messages that a conversation becomes in a request. */

/** A turn as far as a request needs it. */
export interface SentTurn {
  readonly role: "user" | "assistant";
  readonly text: string;
  /** Whether an answer failed or was stopped. */
  readonly isBroken?: boolean;
}

export interface SentMessage {
  readonly role: SentTurn["role"];
  readonly content: string;
}

/**
 * Leaves out answers that broke before their first word; an empty text would pass for what the model said. The questions around them
 * become one message, since chat templates expect user and assistant in turn.
 */
export function messagesOf(turns: readonly SentTurn[]): SentMessage[] {
  const messages: SentMessage[] = [];
  for (const { role, text, isBroken } of turns) {
    if (isBroken === true && text === "") continue;
    const last = messages.at(-1);
    if (role === "user" && last?.role === "user") {
      messages[messages.length - 1] = { role, content: `${last.content}\n\n${text}` };
    } else messages.push({ role, content: text });
  }
  return messages;
}
