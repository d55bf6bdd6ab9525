/** @file The page: header, conversation, settings and the field to write in. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Alternatives, closeAlternatives, opened } from "./alternatives.js";
import { Composer } from "./composer.js";
import { announcement, isRunning, startAnew, stop, turns } from "./conversation.js";
import { KeyForm } from "./key-form.js";
import { Message } from "./message.js";
import { loadModels, model, models, modelsError } from "./models.js";
import { needsKey } from "./server.js";
import { change } from "./settings.js";
import { SettingsPanel } from "./settings-panel.js";

const areSettingsOpen = signal(false);

/** Escape closes what is open, else stops the answer. */
function onEscape(event: KeyboardEvent): void {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  if (opened.value !== undefined) closeAlternatives();
  else if (isRunning.value) stop();
  else if (areSettingsOpen.value) closeSettings();
}

function closeSettings(): void {
  areSettingsOpen.value = false;
  document.getElementById("settings-button")?.focus();
}

export function App() {
  useEffect(() => {
    document.addEventListener("keydown", onEscape);
    return () => document.removeEventListener("keydown", onEscape);
  }, []);
  return (
    <div class={areSettingsOpen.value ? "page with-settings" : "page"}>
      <Header />
      {areSettingsOpen.value && <SettingsPanel onClose={closeSettings} />}
      <main>
        <Conversation />
      </main>
      <Composer />
      <Alternatives />
      <p class="unseen" role="status" aria-live="polite">
        {announcement.value}
      </p>
    </div>
  );
}

function Header() {
  const chosen = model.value;
  return (
    <header>
      <h1>Quern</h1>
      <label class="model">
        <span class="unseen">Model</span>
        <select value={chosen?.id ?? ""} onChange={(event) => change({ model: event.currentTarget.value })}>
          {models.value.length === 0 && <option value="">no model</option>}
          {models.value.map(({ id }) => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </select>
      </label>
      <button type="button" onClick={startNew} disabled={turns.value.length === 0}>
        New
        <span class="wide-only"> conversation</span>
      </button>
      <button
        type="button"
        id="settings-button"
        aria-expanded={areSettingsOpen.value}
        onClick={() => {
          areSettingsOpen.value = !areSettingsOpen.value;
        }}
      >
        Settings
      </button>
    </header>
  );
}

function startNew(): void {
  startAnew();
  document.getElementById("message")?.focus();
}

function Conversation() {
  if (needsKey.value !== "") return <KeyForm />;
  if (modelsError.value !== "") {
    return (
      <div class="problem" role="alert">
        <p>{modelsError.value}</p>
        <button type="button" onClick={() => void loadModels()}>
          Try again
        </button>
      </div>
    );
  }
  if (turns.value.length === 0) return <Welcome />;
  return (
    <section aria-label="Conversation" class="turns">
      {turns.value.map((turn, i) => (
        <Message key={turn.id} turn={turn} isLast={i === turns.value.length - 1} />
      ))}
    </section>
  );
}

function Welcome() {
  const chosen = model.value;
  if (chosen === undefined) return null;
  return (
    <div class="welcome">
      <h2>{chosen.chat ? `Talk with ${chosen.id}` : `Write with ${chosen.id}`}</h2>
      <p>
        {chosen.chat
          ? "The conversation stays in this page. The model runs on the server that you opened."
          : "This is a base model: it has not learned to chat, and continues the text that you write."}
      </p>
      <p>
        Point at any word of an answer to see what else the model could have said. Choose an alternative, and the answer
        goes on from there.
      </p>
      <p class="small">Context: {chosen.context_length.toLocaleString("en")} tokens.</p>
    </div>
  );
}
