/** @file Asks for the API key when the server wants one. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { loadModels } from "./models.js";
import { needsKey } from "./server.js";
import { setApiKey } from "./settings.js";

export function KeyForm() {
  const key = useSignal("");
  const isKept = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <form
      class="key-form"
      onSubmit={(event) => {
        event.preventDefault();
        setApiKey(key.value, isKept.value);
        void loadModels();
      }}
    >
      <h2>This server needs an API key</h2>
      {needsKey.value === "wrong" && <p role="alert">The server does not accept this key.</p>}
      <label>
        API key
        <input
          ref={field}
          type="password"
          required
          autocomplete="off"
          value={key.value}
          onInput={(event) => {
            key.value = event.currentTarget.value;
          }}
        />
      </label>
      <label class="switch">
        <input
          type="checkbox"
          checked={isKept.value}
          onChange={(event) => {
            isKept.value = event.currentTarget.checked;
          }}
        />
        Keep it in this browser
      </label>
      <button type="submit" class="main">
        Connect
      </button>
    </form>
  );
}
