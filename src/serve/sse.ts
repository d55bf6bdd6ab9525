/** @file Responses of server-sent events (WHATWG HTML, section 9.2). */

export interface EventStream {
  /** Sends one event, with a name if it has one. */
  send(data: unknown, event?: string): void;
  /** Sends a line of data as it is, such as `[DONE]`. */
  sendText(data: string): void;
}

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no", // proxies would keep the events back
};

/**
 * Returns a response whose events `write` sends. The response ends when `write` does.
 * @param onLeave called if the client leaves before the end
 */
export function eventStream(write: (stream: EventStream) => Promise<void>, onLeave: () => void): Response {
  const utf8 = new TextEncoder();
  let isOpen = true;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const push = (text: string) => {
        if (isOpen) controller.enqueue(utf8.encode(text));
      };
      const stream: EventStream = {
        send: (data, event) =>
          push(`${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`),
        sendText: (data) => push(`data: ${data}\n\n`),
      };
      // Not awaited: a source that is still starting sends nothing.
      void write(stream).finally(() => {
        if (isOpen) controller.close();
        isOpen = false;
      });
    },
    cancel() {
      isOpen = false;
      onLeave();
    },
  });
  return new Response(body, { status: 200, headers: HEADERS });
}
