/**
 * @file The tokens of an answer, as formatted text: pointing at one, or walking to it by the arrow keys, shows its alternatives. Marks of
 * Markdown are tokens too: they are hidden, unless tokens are coloured or one of them is walked to.
 */
import type { ComponentChildren } from "preact";
import { memo } from "preact/compat";
import { focusAlternatives, hideSoon, opened, showAlternatives, showSoon } from "./alternatives.js";
import { type Answer, announceToken } from "./conversation.js";
import { models } from "./models.js";
import { settings } from "./settings.js";
import { type Run, type TokenBlock, tokenBlocks } from "./stretches.js";
import { levelOf, textsOf } from "./tokens.js";

export function AnswerText({ answer }: { readonly answer: Answer }) {
  const { tokens, status } = answer.state.value;
  const { isColoured, isPlain } = settings.value;
  // A base model continues any text; only a chat model is known to write Markdown.
  const isMarkdown = !isPlain && models.value.find(({ id }) => id === answer.model)?.chat === true;
  const current = opened.value?.answerId === answer.id ? opened.value.position : -1;
  const groups = groupsOf(tokenBlocks(tokens, textsOf(tokens), isMarkdown));
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <div
      class={isColoured ? "text tokens coloured" : "text tokens"}
      id={`answer-${answer.id}`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: its keys walk through the tokens
      tabIndex={0}
      role="group"
      aria-label={`Answer of ${answer.model}; arrow keys walk through its tokens, Enter opens the alternatives`}
      aria-busy={status === "writing"}
      onPointerOver={(event) => event.pointerType === "mouse" && at(event, (i) => showSoon(answer, i), hideSoon)}
      onPointerLeave={hideSoon}
      onClick={(event) => at(event, (i) => showAlternatives(answer, i, true))}
      onKeyDown={(event) => walk(event, answer, current)}
    >
      {groups.map((blocks, i) => (
        <Group key={i} blocks={blocks} current={current} />
      ))}
    </div>
  );
}

/** Puts neighbouring items of a list together; every other block is alone. */
function groupsOf(blocks: readonly TokenBlock[]): TokenBlock[][] {
  const groups: TokenBlock[][] = [];
  for (const block of blocks) {
    const last = groups.at(-1);
    if (isItem(block) && last !== undefined && last[0].kind === block.kind) last.push(block);
    else groups.push([block]);
  }
  return groups;
}

const isItem = ({ kind }: TokenBlock) => kind === "bullet" || kind === "number";

function Group({ blocks, current }: { readonly blocks: readonly TokenBlock[]; readonly current: number }) {
  const [block] = blocks;
  const content = <Runs runs={block.runs} current={current} />;
  const items = blocks.map(({ level, value, runs }, i) => (
    <li key={i} class={`depth-${level}`} value={value}>
      <Runs runs={runs} current={current} />
    </li>
  ));
  switch (block.kind) {
    case "plain":
      return content;
    case "paragraph":
      return <p>{content}</p>;
    case "heading":
      return <h3 class={`heading-${block.level}`}>{content}</h3>;
    case "code":
      return <pre>{content}</pre>;
    case "rule":
      return <div class="rule">{content}</div>;
    case "bullet":
      return <ul>{items}</ul>;
    case "number":
      return <ol>{items}</ol>;
    default:
      return block.kind satisfies never;
  }
}

function Runs({ runs, current }: { readonly runs: readonly Run[]; readonly current: number }) {
  return (
    <>
      {runs.map((run, i) => {
        const [first, last] = [run.pieces[0].i, run.pieces[run.pieces.length - 1].i];
        return <Stretch key={i} run={run} current={current >= first && current <= last ? current : -1} />;
      })}
    </>
  );
}

const Stretch = memo(
  function Stretch({ run, current }: { readonly run: Run; readonly current: number }) {
    const spans = run.pieces.map(({ i, token, text }) => {
      const names = [
        `level-${levelOf(token.logprob)}`,
        ...(run.style === "mark" ? ["mark"] : []),
        ...(token.isChosen ? ["chosen"] : []),
        ...(i === current ? ["current"] : []),
      ];
      return (
        <span key={i} data-i={i} class={names.join(" ")}>
          {text}
        </span>
      );
    });
    return styled(run, spans);
  },
  (a, b) =>
    a.current === b.current &&
    a.run.style === b.run.style &&
    a.run.pieces[0].i === b.run.pieces[0].i &&
    a.run.pieces.length === b.run.pieces.length &&
    a.run.pieces.every(({ token, text }, i) => token === b.run.pieces[i].token && text === b.run.pieces[i].text),
);

function styled({ style }: Run, spans: ComponentChildren) {
  switch (style) {
    case "text":
    case "mark":
      return <>{spans}</>;
    case "code":
      return <code>{spans}</code>;
    case "strong":
      return <strong>{spans}</strong>;
    case "emphasis":
      return <em>{spans}</em>;
    case "both":
      return (
        <strong>
          <em>{spans}</em>
        </strong>
      );
    default:
      return style satisfies never;
  }
}

/** Calls with the position of the token that an event is about. */
function at(event: Event, act: (position: number) => void, otherwise = () => {}): void {
  const place = (event.target as HTMLElement).dataset.i;
  if (place === undefined) otherwise();
  else act(Number(place));
}

function walk(event: KeyboardEvent, answer: Answer, current: number): void {
  const last = answer.state.value.tokens.length - 1;
  const targets: Readonly<Record<string, number>> = {
    ArrowRight: Math.min(last, current + 1),
    ArrowLeft: current < 0 ? last : Math.max(0, current - 1),
    Home: 0,
    End: last,
  };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in targets) {
    event.preventDefault();
    showAlternatives(answer, targets[event.key], false);
    announceToken(answer, targets[event.key]);
  } else if (current >= 0 && ["Enter", "ArrowDown", " "].includes(event.key)) {
    event.preventDefault();
    focusAlternatives();
  }
}
