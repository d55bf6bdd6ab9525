/** @file The settings: how the model samples, and the system prompt. */
import { useEffect, useRef } from "preact/hooks";
import { model } from "./models.js";
import { apiKey, change, DEFAULTS, setApiKey, settings } from "./settings.js";

interface RangeField {
  readonly name: "temperature" | "topP" | "minP";
  readonly label: string;
  readonly most: number;
  readonly about: string;
}

const RANGES: readonly RangeField[] = [
  { name: "temperature", label: "Temperature", most: 2, about: "0 always takes the likeliest token" },
  { name: "topP", label: "Top p", most: 1, about: "keeps the likeliest tokens of this total probability" },
  { name: "minP", label: "Min p", most: 1, about: "drops tokens below this part of the likeliest one" },
];

interface CountField {
  readonly name: "topK" | "maxTokens" | "seed";
  readonly label: string;
  readonly least: number;
  readonly empty: string;
}

const COUNTS: readonly CountField[] = [
  { name: "topK", label: "Top k", least: 1, empty: "all" },
  { name: "maxTokens", label: "Max tokens", least: 1, empty: "no limit" },
  { name: "seed", label: "Seed", least: 0, empty: "random" },
];

export function SettingsPanel({ onClose }: { readonly onClose: () => void }) {
  const first = useRef<HTMLHeadingElement>(null);
  useEffect(() => first.current?.focus(), []);
  return (
    <aside class="settings" aria-labelledby="settings-title">
      <div class="row">
        <h2 id="settings-title" ref={first} tabIndex={-1}>
          Settings
        </h2>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      <label>
        System prompt
        <textarea
          rows={4}
          value={settings.value.system}
          disabled={model.value?.chat === false}
          onInput={(event) => change({ system: event.currentTarget.value })}
        />
        {model.value?.chat === false && <span class="small">A base model has none.</span>}
      </label>
      {RANGES.map((field) => (
        <Range key={field.name} {...field} />
      ))}
      <div class="counts">
        {COUNTS.map((field) => (
          <Count key={field.name} {...field} />
        ))}
      </div>
      <label class="switch">
        <input
          type="checkbox"
          checked={settings.value.isPlain}
          onChange={(event) => change({ isPlain: event.currentTarget.checked })}
        />
        Show Markdown as it is written
      </label>
      <div class="row">
        <button type="button" onClick={() => change({ ...DEFAULTS, model: settings.value.model })}>
          Reset
        </button>
        {apiKey.value !== "" && (
          <button
            type="button"
            onClick={() => {
              setApiKey("", false);
              location.reload();
            }}
          >
            Forget the API key
          </button>
        )}
      </div>
    </aside>
  );
}

function Range({ name, label, most, about }: RangeField) {
  const id = `setting-${name}`;
  return (
    <div class="range">
      <label for={id}>{label}</label>
      <output for={id}>{settings.value[name].toFixed(2)}</output>
      <input
        id={id}
        type="range"
        min={0}
        max={most}
        step={0.05}
        value={settings.value[name]}
        aria-describedby={`${id}-about`}
        onInput={(event) => change({ [name]: event.currentTarget.valueAsNumber })}
      />
      <span class="small" id={`${id}-about`}>
        {about}
      </span>
    </div>
  );
}

function Count({ name, label, least, empty }: CountField) {
  const value = settings.value[name];
  return (
    <label>
      {label}
      <input
        type="number"
        min={least}
        step={1}
        placeholder={empty}
        value={name === "topK" && value === 0 ? "" : (value ?? "")}
        onInput={(event) => {
          const given = event.currentTarget.valueAsNumber;
          const isValid = Number.isSafeInteger(given) && given >= least;
          change({ [name]: isValid ? given : DEFAULTS[name] });
        }}
      />
    </label>
  );
}
