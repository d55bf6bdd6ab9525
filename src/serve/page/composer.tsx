/** @file The field to write in, with what belongs to the whole conversation. */
import { signal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { isRunning, send, stop, undo, undoable } from "./conversation.js";
import { model } from "./models.js";
import { needsKey } from "./server.js";
import { change, settings } from "./settings.js";

const draft = signal("");

function submit(): void {
  if (isRunning.value || draft.value.trim() === "" || model.value === undefined) return;
  send(draft.value);
  draft.value = "";
}

export function Composer() {
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  // As high as its text, up to the limit of the style sheet.
  useSignalEffect(() => {
    const isEmpty = draft.value === "";
    requestAnimationFrame(() => {
      if (field.current === null) return;
      field.current.style.height = "";
      if (!isEmpty) field.current.style.height = `${field.current.scrollHeight + 2}px`;
    });
  });
  const isBase = model.value?.chat === false;
  return (
    <footer>
      {undoable.value !== undefined && (
        <p class="undo">
          {undoable.value.what}{" "}
          <button type="button" class="link" onClick={undo}>
            Undo
          </button>
        </p>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <label class="unseen" for="message">
          {isBase ? "Text to continue" : "Message"}
        </label>
        <textarea
          id="message"
          ref={field}
          rows={1}
          placeholder={isBase ? "Text to continue" : "Message"}
          value={draft.value}
          disabled={needsKey.value !== ""}
          onInput={(event) => {
            draft.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            // Enter may also end the composition of a character.
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            submit();
          }}
        />
        {isRunning.value ? (
          <button type="button" class="main" onClick={stop}>
            Stop
          </button>
        ) : (
          <button type="submit" class="main" disabled={draft.value.trim() === "" || model.value === undefined}>
            {isBase ? "Continue" : "Send"}
          </button>
        )}
      </form>
      <div class="below">
        <label class="switch">
          <input
            type="checkbox"
            role="switch"
            aria-checked={settings.value.isColoured}
            checked={settings.value.isColoured}
            onChange={(event) => change({ isColoured: event.currentTarget.checked })}
          />
          Colour by probability
        </label>
        {settings.value.isColoured ? (
          <Legend />
        ) : (
          <p class="keys">Enter sends, Shift + Enter starts a line, Escape stops</p>
        )}
      </div>
    </footer>
  );
}

function Legend() {
  const names = ["90 %", "50 %", "20 %", "5 %", "less"];
  return (
    <ul class="legend" aria-label="Colours: probability of at least">
      {names.map((name, level) => (
        <li key={name}>
          <span class={`level-${level}`}>{name}</span>
        </li>
      ))}
    </ul>
  );
}
