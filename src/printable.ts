/** @file Makes untrusted strings (names, URLs, headers) safe to print on a terminal and to write to a log. */

/** Escapes characters that control a terminal or the text direction, such as `\x1b` and `\u202e`, and line breaks. */
export function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, (character) => {
    const code = character.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

const USER = /([a-z][a-z0-9+.-]{0,20}:[\\/]{2})[^\s\\/?#'"<>]*@/gi;
const SECRET =
  /([?&](?:access_token|api_?key|auth|passw(?:or)?d|secret|sig|signature|token|x-(?:amz|goog)-(?:signature|credential|security-token))=)[^&#\s'"<>]*/gi;

/** Replaces user names, passwords and secret parameters of all URLs in a text by `***`. */
export function hideCredentials(text: string): string {
  return text.replace(USER, "$1***@").replace(SECRET, "$1***");
}

/** Quotes untrusted text in a message: at most 200 characters, escaped, without credentials. */
export const quoted = (text: string) =>
  escapeControls(hideCredentials(text.length > 200 ? `${text.slice(0, 199)}…` : text));

/** Escapes text for a terminal, except line breaks and tabs. */
export const printable = (text: string) => text.replace(/[^\n\t]+/g, escapeControls);

/** Returns the escaped beginning of a server's response. */
export const excerpt = (text: string) => escapeControls(text.slice(0, 60));
