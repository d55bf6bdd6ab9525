/** @file The box beside a token with what could stand in its place. */
import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { type Answer, branch, turns } from "./conversation.js";
import { type Candidate, candidatesOf, labelOf, percentOf, spokenLabelOf } from "./tokens.js";

interface Opened {
  readonly answerId: number;
  readonly position: number;
  /** Stays when the pointer leaves. */
  readonly isPinned: boolean;
}

export const opened = signal<Opened | undefined>(undefined);

/** Milliseconds until the box appears under a resting pointer, and until it goes when the pointer has left. */
const APPEAR = 120;
const LEAVE = 220;
let timer: ReturnType<typeof setTimeout> | undefined;

export function showAlternatives({ id }: Answer, position: number, isPinned: boolean): void {
  clearTimeout(timer);
  opened.value = { answerId: id, position, isPinned };
}

export function showSoon(answer: Answer, position: number): void {
  clearTimeout(timer);
  if (opened.value?.isPinned === true) return;
  timer = setTimeout(() => showAlternatives(answer, position, false), APPEAR);
}

export function hideSoon(): void {
  clearTimeout(timer);
  if (opened.value?.isPinned !== true) timer = setTimeout(closeAlternatives, LEAVE);
}

/** Closes the box; the focus goes back to the answer if it was inside. */
export function closeAlternatives(): void {
  clearTimeout(timer);
  const box = document.getElementById("alternatives");
  if (opened.value !== undefined && box?.contains(document.activeElement)) focusAnswer(opened.value.answerId);
  opened.value = undefined;
}

export const focusAnswer = (id: number) => document.getElementById(`answer-${id}`)?.focus();

export function focusAlternatives(): void {
  document.querySelector<HTMLElement>("#alternatives button")?.focus();
}

export function Alternatives() {
  const box = useRef<HTMLDivElement>(null);
  const place = opened.value;
  const answer = turns.value.find((turn): turn is Answer => turn.role === "assistant" && turn.id === place?.answerId);
  const token = place === undefined ? undefined : answer?.state.value.tokens[place.position];
  useLayoutEffect(() => {
    if (box.current === null || place === undefined) return;
    putBeside(box.current, place);
    // A mark appears when it becomes the current token, after this.
    const frame = requestAnimationFrame(() => box.current !== null && putBeside(box.current, place));
    return () => cancelAnimationFrame(frame);
  }, [place, token]);
  useEffect(() => {
    if (place === undefined) return;
    const onPress = (event: Event) => {
      const target = event.target as HTMLElement;
      if (!box.current?.contains(target) && target.dataset.i === undefined) closeAlternatives();
    };
    document.addEventListener("pointerdown", onPress);
    addEventListener("resize", closeAlternatives);
    return () => {
      document.removeEventListener("pointerdown", onPress);
      removeEventListener("resize", closeAlternatives);
    };
  }, [place]);
  if (place === undefined || answer === undefined || token === undefined) return null;
  const choose = (candidate: Candidate) => {
    opened.value = undefined;
    focusAnswer(answer.id);
    branch(answer, place.position, candidate);
  };
  return (
    <div
      ref={box}
      id="alternatives"
      role="dialog"
      aria-label={`Alternatives to ${spokenLabelOf(token)}`}
      onPointerEnter={() => clearTimeout(timer)}
      onPointerLeave={hideSoon}
      onKeyDown={onKey}
    >
      <p>
        <code>{labelOf(token)}</code> {percentOf(token.logprob)}
        {token.isChosen && <span class="small"> your choice</span>}
      </p>
      <ol>
        {candidatesOf(token).map((each) => (
          <li key={each.id}>
            <button type="button" aria-current={each.id === token.id} onClick={() => choose(each)}>
              <i style={{ width: `${100 * Math.exp(each.logprob)}%` }} />
              <code>{labelOf(each)}</code>
              <span>{percentOf(each.logprob)}</span>
              <span class="unseen">: go on from here</span>
            </button>
          </li>
        ))}
      </ol>
      <p class="small">Choose one to go on from there.</p>
    </div>
  );
}

/** Arrow keys walk through the alternatives; Escape goes back to the answer. */
function onKey(event: KeyboardEvent): void {
  const buttons = [...document.querySelectorAll<HTMLElement>("#alternatives button")];
  const at = buttons.indexOf(document.activeElement as HTMLElement);
  const targets: Readonly<Record<string, number>> = {
    ArrowDown: Math.min(buttons.length - 1, at + 1),
    ArrowUp: Math.max(0, at - 1),
    Home: 0,
    End: buttons.length - 1,
  };
  if (event.key in targets) {
    event.preventDefault();
    buttons[targets[event.key]].focus();
  } else if (event.key === "Escape") {
    event.preventDefault();
    event.stopPropagation();
    closeAlternatives();
  } else if (event.key === "Tab") closeAlternatives();
}

const GAP = 6;

/** Puts the box under the token, or above it where there is no room. */
function putBeside(box: HTMLElement, { answerId, position }: Opened): void {
  const parts = document.querySelectorAll(`#answer-${answerId} [data-i="${position}"]`);
  // A token that is broken over two lines has two boxes; the last one has its end. A hidden mark has none.
  const rect = [...parts].flatMap((part) => [...part.getClientRects()]).at(-1) ?? parts[0]?.getBoundingClientRect();
  if (rect === undefined) return;
  const { width, height } = box.getBoundingClientRect();
  const { clientWidth } = document.body;
  const isBelow = rect.bottom + GAP + height <= innerHeight || rect.top < height + GAP;
  const left = Math.max(8, Math.min(rect.left, clientWidth - width - 8));
  box.style.left = `${left + scrollX}px`;
  box.style.top = `${(isBelow ? rect.bottom + GAP : rect.top - GAP - height) + scrollY}px`;
}
