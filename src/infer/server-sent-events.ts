/** @file Parses server-sent events (WHATWG HTML, section 9.2) of OpenAI-compatible servers, which use only `data`. */

/** Maximum line length in characters. */
const MAX_LINE_LENGTH = 64 << 20;

/** Yields the data of each event until `[DONE]` or the end of the stream. */
export async function* readEvents(body: AsyncIterable<Uint8Array> | null): AsyncGenerator<string, void> {
  const utf8 = new TextDecoder("utf-8");
  let rest = "";
  let data: string[] = [];
  for await (const bytes of body ?? []) {
    rest += utf8.decode(bytes, { stream: true });
    // A carriage return at the end may be the first half of \r\n.
    const held = rest.endsWith("\r") ? rest.length - 1 : rest.length;
    const lines = rest.slice(0, held).split(/\r\n|\n|\r/);
    rest = lines.pop() + rest.slice(held);
    if (rest.length > MAX_LINE_LENGTH) throw new Error("a line of the stream is too long");
    for (const line of lines) {
      const value = /^data(?:: ?|$)([\s\S]*)/.exec(line)?.[1];
      if (value !== undefined) data.push(value);
      if (line !== "" || data.length === 0) continue;
      const event = data.join("\n");
      data = [];
      if (event.trim() === "[DONE]") return;
      yield event;
    }
  }
  const last = [...data, ...(/^data: ?([\s\S]+)/.exec(rest)?.slice(1) ?? [])].join("\n").trim();
  if (last !== "" && last !== "[DONE]") yield last;
}
