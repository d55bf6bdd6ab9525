/**
 * @file The arrays that a schema allows at one place: items by position, how many meet the schemas of `contains`, and which values
 * were used if items are unique.
 */
import { cheapestAssignment } from "./assignment.js";
import type { LexerStates } from "./lexer-states.js";
import type { PlacedValue } from "./placed-value.js";
import { PriorityQueue } from "./priority-queue.js";

/** A way for an item to be: its values, the `contains` (a bit each) that count it, and the value that it is if items are unique. */
export interface ItemOption {
  readonly node: PlacedValue;
  readonly counted: number;
  /** A bit of the value, 0 if values may repeat. */
  readonly value: bigint;
}

export interface ArrayLimits {
  readonly prefix: readonly ItemOption[][];
  readonly rest: ItemOption[];
  readonly min: number;
  readonly max: number;
  readonly contains: readonly { readonly min: number; readonly max: number }[];
}

/** The items that complete an array, one after the other. */
export interface ArrayPlan {
  readonly node: PlacedValue;
  /** The array after this item, and what completes it. */
  readonly state: ArrayState;
  readonly rest: ArrayPlan | null;
}

export class ArrayShape {
  readonly limits: ArrayLimits;
  readonly lexer: LexerStates;
  readonly start: ArrayState;
  /** Positions from here on are all alike. */
  readonly lastPosition: number;
  readonly isUnique: boolean;
  readonly #states = new Map<string, ArrayState>();

  constructor(limits: ArrayLimits, lexer: LexerStates) {
    this.limits = limits;
    this.lexer = lexer;
    const { prefix, rest, min, max, contains } = limits;
    this.lastPosition = Math.max(prefix.length, min, max === Number.POSITIVE_INFINITY ? 0 : max);
    this.isUnique = [...prefix.flat(), ...rest].some(({ value }) => value !== 0n);
    this.start = new ArrayState(
      this,
      0,
      contains.map(() => 0),
      0n,
    );
  }

  state(position: number, counts: readonly number[], used: bigint): ArrayState {
    const at = Math.min(position, this.lastPosition);
    const capped = counts.map((count, i) => {
      const { min, max } = this.limits.contains[i];
      return max === Number.POSITIVE_INFINITY ? Math.min(count, min) : count;
    });
    const key = `${at} ${capped.join()} ${used}`;
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const state = new ArrayState(this, at, capped, used);
    this.#states.set(key, state);
    this.lexer.kept++;
    return state;
  }

  cost(): number {
    const items = cheapestItems(this.start);
    if (items === undefined) return Number.POSITIVE_INFINITY;
    return 2 + items.reduce((sum, { node }, i) => sum + (i > 0 ? 1 : 0) + node.cost, 0);
  }
}

export class ArrayState {
  readonly shape: ArrayShape;
  readonly position: number;
  readonly counts: readonly number[];
  /** Bits of the values that were used, if items are unique. */
  readonly used: bigint;
  #plan: ArrayPlan | null | undefined | false = false;
  #options: readonly { readonly node: PlacedValue; readonly state: ArrayState }[] | undefined;

  constructor(shape: ArrayShape, position: number, counts: readonly number[], used: bigint) {
    this.shape = shape;
    this.position = position;
    this.counts = counts;
    this.used = used;
  }

  /** The items that complete the array with the fewest bytes; undefined if none do. */
  get plan(): ArrayPlan | null | undefined {
    if (this.#plan !== false) return this.#plan;
    const items = cheapestItems(this);
    if (items === undefined) {
      this.#plan = undefined;
      return undefined;
    }
    const states: ArrayState[] = [this];
    for (const option of items) states.push(states[states.length - 1].after(option));
    let rest: ArrayPlan | null = null;
    for (let i = items.length - 1; i >= 0; i--) {
      states[i + 1].#plan = rest;
      rest = { node: items[i].node, state: states[i + 1], rest };
    }
    this.#plan = rest;
    return rest;
  }

  get closes(): boolean {
    const { min, contains } = this.shape.limits;
    return this.position >= min && contains.every((limit, i) => this.counts[i] >= limit.min);
  }

  get rawOptions(): readonly ItemOption[] {
    const { prefix, rest } = this.shape.limits;
    return prefix[this.position] ?? rest;
  }

  takes({ counted, value }: ItemOption): boolean {
    if (value & this.used) return false;
    return this.shape.limits.contains.every(({ max }, i) => !(counted & (1 << i)) || this.counts[i] < max);
  }

  after({ counted, value }: ItemOption): ArrayState {
    const counts = this.counts.map((count, i) => (counted & (1 << i) ? count + 1 : count));
    return this.shape.state(this.position + 1, counts, this.used | value);
  }

  /** The ways for the next item, with the states after it; none if no more may come. */
  get options(): readonly { readonly node: PlacedValue; readonly state: ArrayState }[] {
    if (this.#options === undefined) {
      const { limits, isUnique } = this.shape;
      const isFull = this.position >= limits.max;
      // Without these conditions an array that can be completed still can be after any item.
      const always = limits.contains.length === 0 && !isUnique;
      this.#options = (isFull ? [] : this.rawOptions.filter((option) => this.takes(option)))
        .map((option) => ({ node: option.node, state: this.after(option) }))
        .filter(({ state }) => always || state.plan !== undefined);
    }
    return this.#options;
  }
}

/** The items to add so that an array is complete, with the fewest bytes together; undefined if there are none. */
function cheapestItems(start: ArrayState): readonly ItemOption[] | undefined {
  const { isUnique, limits } = start.shape;
  if (isUnique) return uniqueItems(start);
  return limits.contains.length > 0 ? containingItems(start) : anyItems(start);
}

const isPossible = ({ node }: ItemOption) => node.cost !== Number.POSITIVE_INFINITY;

/** The cheapest item at each position. */
function anyItems({ position, shape }: ArrayState): readonly ItemOption[] | undefined {
  const { prefix, rest, min } = shape.limits;
  const items: ItemOption[] = [];
  for (let at = position; at < min; at++) {
    shape.lexer.pool.meter.spend("values", 1);
    const options = (prefix[at] ?? rest).filter(isPossible);
    if (options.length === 0) return undefined;
    items.push(options.reduce((best, option) => (option.node.cost < best.node.cost ? option : best)));
  }
  return items;
}

/** One value for each position, no two the same. */
function uniqueItems({ position, used, shape }: ArrayState): readonly ItemOption[] | undefined {
  const { prefix, rest, min } = shape.limits;
  const needed = Math.max(0, min - position);
  const rows = Array.from({ length: needed }, (_, i) =>
    (prefix[position + i] ?? rest).filter((option) => isPossible(option) && !(option.value & used)),
  );
  const values = [...new Set(rows.flatMap((options) => options.map(({ value }) => value)))];
  if (values.length < needed) return undefined;
  shape.lexer.pool.meter.spend("values", 1 + needed * needed * values.length);
  const table = rows.map((options) => values.map((value) => options.find((option) => option.value === value)));
  const chosen = cheapestAssignment(table.map((row) => row.map((option) => option?.node.cost)));
  return chosen?.map((column, row) => table[row][column]!);
}

/** Dijkstra's algorithm over the positions and the counts of `contains`. */
function containingItems(start: ArrayState): readonly ItemOption[] | undefined {
  const { shape } = start;
  const { max } = shape.limits;
  interface Entry {
    readonly state: ArrayState;
    readonly cost: number;
    readonly option: ItemOption | undefined;
    readonly before: Entry | undefined;
  }
  const best = new Map<ArrayState, number>([[start, 0]]);
  const open = new PriorityQueue<Entry>();
  open.push({ state: start, cost: 0, option: undefined, before: undefined }, 0);
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    const { state, cost } = entry;
    if (cost !== best.get(state)) continue;
    if (state.closes) {
      const items: ItemOption[] = [];
      for (let at: Entry | undefined = entry; at?.option !== undefined; at = at.before) items.push(at.option);
      return items.reverse();
    }
    if (state.position >= max) continue;
    for (const option of state.rawOptions) {
      shape.lexer.pool.meter.spend("values", 2);
      if (!isPossible(option) || !state.takes(option)) continue;
      const next = state.after(option);
      const total = cost + option.node.cost + 1;
      if (total >= (best.get(next) ?? Number.POSITIVE_INFINITY)) continue;
      best.set(next, total);
      open.push({ state: next, cost: total, option, before: entry }, total);
    }
  }
  return undefined;
}
