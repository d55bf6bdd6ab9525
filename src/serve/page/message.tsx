/** @file One turn of the conversation. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { AnswerText } from "./answer-text.js";
import { type Answer, type AnswerState, goOn, regenerate, type Turn, textOf } from "./conversation.js";

export function Message({ turn, isLast }: { readonly turn: Turn; readonly isLast: boolean }) {
  if (turn.role === "assistant") return <AnswerMessage answer={turn} isLast={isLast} />;
  return (
    <article class="question">
      <h2>You</h2>
      <p class="text">{turn.text}</p>
      <div class="actions">
        <CopyButton turn={turn} />
      </div>
    </article>
  );
}

/** Pixels from the end within which the page follows a growing answer. */
const NEAR = 120;

function AnswerMessage({ answer, isLast }: { readonly answer: Answer; readonly isLast: boolean }) {
  const state = answer.state.value;
  const { status, tokens, error } = state;
  const isOver = status !== "waiting" && status !== "writing";
  // The height has grown when the effect runs, so the limit is generous.
  useEffect(() => {
    const end = document.documentElement.scrollHeight;
    if (isLast && end - scrollY - innerHeight < NEAR) scrollTo(0, end);
  }, [state]);
  useEffect(() => {
    if (isLast && status === "waiting" && tokens.length === 0) scrollTo(0, document.documentElement.scrollHeight);
  }, [answer]);
  return (
    <article class="answer">
      <h2>{answer.model}</h2>
      {tokens.length > 0 && <AnswerText answer={answer} />}
      {status === "waiting" && <p class="waiting">Reading…</p>}
      {error !== undefined && (
        <p class="problem" role="alert">
          {error}
        </p>
      )}
      {isOver && (
        <div class="actions">
          {tokens.length > 0 && <CopyButton turn={answer} />}
          {isLast && (
            <button type="button" onClick={regenerate}>
              {status === "failed" ? "Try again" : "Regenerate"}
            </button>
          )}
          {isLast && tokens.length > 0 && status !== "done" && (
            <button type="button" onClick={goOn}>
              Go on
            </button>
          )}
          <span class="small">{summaryOf(state)}</span>
        </div>
      )}
    </article>
  );
}

function summaryOf({ status, tokens, speed }: AnswerState): string {
  const count = `${tokens.length.toLocaleString("en")} ${tokens.length === 1 ? "token" : "tokens"}`;
  const parts = [
    count,
    speed === undefined ? "" : `${speed.toFixed(speed < 10 ? 1 : 0)} a second`,
    status === "limit" ? "ended at the token limit" : status === "stopped" ? "stopped" : "",
  ];
  return parts.filter((part) => part !== "").join(" · ");
}

/** Milliseconds for which the button says that it has copied. */
const SHOWN = 1500;

function CopyButton({ turn }: { readonly turn: Turn }) {
  const said = useSignal("Copy");
  return (
    <button
      type="button"
      onClick={async () => {
        said.value = await copy(textOf(turn)).then(
          () => "Copied",
          () => "Not allowed",
        );
        setTimeout(() => {
          said.value = "Copy";
        }, SHOWN);
      }}
    >
      {said.value}
    </button>
  );
}

/** Pages that come over plain HTTP from another machine have no clipboard; they copy a selection. */
async function copy(text: string): Promise<void> {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  if (!isDone) throw new Error("the browser did not copy");
}
