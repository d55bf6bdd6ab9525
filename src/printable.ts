/** @file Strings that others wrote (names, addresses, headers) as they may be shown on a terminal and written to a log. */

/** Characters that steer a terminal or turn the text's direction, as `\x1b` and `\u202e`; a line break too. */
export function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, (character) => {
    const code = character.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

const USER = /([a-z][a-z0-9+.-]{0,20}:[\\/]{2})[^\s\\/?#'"<>]*@/gi;
const SECRET =
  /([?&](?:access_token|api_?key|auth|passw(?:or)?d|secret|sig|signature|token|x-(?:amz|goog)-(?:signature|credential|security-token))=)[^&#\s'"<>]*/gi;

/** A text with `***` for the user name and password of every address in it, and for the parameters that hold secrets. */
export function hideCredentials(text: string): string {
  return text.replace(USER, "$1***@").replace(SECRET, "$1***");
}

/** What somebody else wrote, as a message may quote it: at most 200 characters, without credentials. */
export const quoted = (text: string) =>
  escapeControls(hideCredentials(text.length > 200 ? `${text.slice(0, 199)}…` : text));

/** Lines of text for a terminal: what steers it is escaped, but for line breaks and tabs. */
export const printable = (text: string) => text.replace(/[^\n\t]+/g, escapeControls);

/** The beginning of what a server wrote, of any length. */
export const excerpt = (text: string) => escapeControls(text.slice(0, 60));
