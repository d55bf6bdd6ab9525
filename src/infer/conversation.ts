/** @file Finds out from the chat template whether a model can chat, and which tokens end its turns. */
import { QuernError } from "../errors.js";
import { renderChat, type Tokenizer } from "../tokenizer/index.js";

/** @throws QuernError if the tokenizer has no chat template, as with a base model */
export function requireChatTemplate(tokenizer: Tokenizer, name: string): void {
  if (tokenizer.parts.config?.chat_template !== undefined) return;
  throw new QuernError(
    `${name} has no chat template: it is a base model; continue texts with quern generate, or choose a chat model`,
    { exitCode: 2 },
  );
}

const MARK = "\u2063quern\u2063";

/** Returns the ids of special tokens that end an assistant's turn in the chat template; configurations may not name them. */
export async function endOfTurn(tokenizer: Tokenizer): Promise<number[]> {
  const messages = [
    { role: "user", content: "?" },
    { role: "assistant", content: MARK },
  ];
  const text = await renderChat(tokenizer, messages).catch((error: unknown) => {
    if (error instanceof QuernError) return ""; // fall back to the configuration's tokens
    throw error;
  });
  const at = text.lastIndexOf(MARK);
  if (at < 0) return [];
  const rest = text.slice(at + MARK.length).trimStart();
  const found = [...tokenizer.special].filter(([content]) => rest.startsWith(content));
  // If one special token is a prefix of another, the longer one matches.
  return found
    .sort(([a], [b]) => b.length - a.length)
    .slice(0, 1)
    .map(([, id]) => id);
}
