/** @file The properties that complete an object with the fewest bytes. */
import { escapedBytes } from "./lexer-states.js";
import type { OpenObject, PlannedProperty, PropertyOption } from "./object-limits.js";

/** A choice of properties, the last one first. */
interface Chosen {
  readonly cost: number;
  readonly property: PlannedProperty | undefined;
  readonly before: Chosen | undefined;
}

const NOTHING: Chosen = { cost: 0, property: undefined, before: undefined };

/**
 * The properties to add so that all required ones are there, every witness is proven and the number of properties is right; undefined
 * if there are none. All have the fewest bytes together. A property may be required and prove several witnesses.
 */
export function cheapestProperties(state: OpenObject): readonly PlannedProperty[] | undefined {
  const { shape } = state;
  const { min, max, witnesses } = shape.limits;
  const { meter } = shape.lexer.pool;
  const wanted = witnesses & ~state.witnesses;
  const need = Math.max(0, min - state.count - state.missing);
  const room = max - state.count - state.missing;
  if (room < need) return undefined;
  meter.spend("values", 1 + state.missing);
  // By the bits of the proven witnesses: the cheapest choice of the required properties.
  let required = new Map([[0, NOTHING]]);
  for (const index of shape.requiredClasses) {
    if (state.has(index)) continue;
    const properties = optionsOf(state, index, [...(shape.limits.classes[index].name ?? [])]);
    const after = new Map<number, Chosen>();
    for (const [bits, chosen] of required)
      for (const property of properties) improve(after, chosen, property, bits, wanted);
    if (after.size === 0) return undefined;
    required = after;
  }
  const found =
    wanted === 0 ? cheapest(state, need, required.get(0)!) : covering(state, { wanted, need, room, required });
  return found === undefined ? undefined : listOf(found);
}

/** Adds a property to a choice, if that is the cheapest way to prove what both prove. */
function improve(
  choices: Map<number, Chosen>,
  chosen: Chosen,
  property: PlannedProperty,
  bits: number,
  wanted: number,
): void {
  const after = bits | (property.option.witnesses & wanted);
  const cost = chosen.cost + property.cost;
  const known = choices.get(after);
  if (known === undefined || cost < known.cost) choices.set(after, { cost, property, before: chosen });
}

/** Adds the `need` cheapest optional properties. */
function cheapest(state: OpenObject, need: number, required: Chosen): Chosen | undefined {
  if (need === 0) return required;
  const optional = optionalProperties(state, need).map((properties) =>
    properties.reduce((best, each) => (each.cost < best.cost ? each : best)),
  );
  if (optional.length < need) return undefined;
  optional.sort((a, b) => a.cost - b.cost);
  return optional
    .slice(0, need)
    .reduce<Chosen>((before, property) => ({ cost: before.cost + property.cost, property, before }), required);
}

/** Adds optional properties, at least `need` and at most `room`, so that all wanted witnesses are proven. */
function covering(
  state: OpenObject,
  {
    wanted,
    need,
    room,
    required,
  }: {
    readonly wanted: number;
    readonly need: number;
    readonly room: number;
    readonly required: Map<number, Chosen>;
  },
): Chosen | undefined {
  const { meter } = state.shape.lexer.pool;
  // More than that, one of them would neither be needed nor prove anything that the others do not.
  const most = Math.min(room, Math.max(need, bitCount(wanted)));
  /** By the number of optional properties, then by the bits of the proven witnesses. */
  const choices: Map<number, Chosen>[] = Array.from({ length: most + 1 }, () => new Map());
  choices[0] = required;
  for (const properties of optionalProperties(state, most)) {
    for (let count = most - 1; count >= 0; count--) {
      meter.spend("values", 1 + choices[count].size * properties.length);
      for (const [bits, chosen] of choices[count])
        for (const property of properties) improve(choices[count + 1], chosen, property, bits, wanted);
    }
  }
  let best: Chosen | undefined;
  for (const choice of choices.slice(need)) {
    const found = choice.get(wanted);
    if (found !== undefined && (best === undefined || found.cost < best.cost)) best = found;
  }
  return best;
}

/** The optional properties that may be added, each as the list of its options; of a set of names, up to `most` names. */
function optionalProperties(state: OpenObject, most: number): (readonly PlannedProperty[])[] {
  const { shape } = state;
  const { pool } = shape.lexer;
  const found: PlannedProperty[][] = [];
  shape.limits.classes.forEach(({ name, required, options }, index) => {
    pool.meter.spend("values", 1);
    if (required || !options.some(isPossible)) return;
    if (name !== undefined) {
      if (!state.has(index)) found.push(optionsOf(state, index, [...name]));
      return;
    }
    for (let position = 0, count = 0; count < most; position++) {
      pool.meter.spend("values", 1);
      const short = shape.shortName(index, position);
      if (short === undefined) return;
      if (state.extra.has(short.text)) continue;
      found.push(optionsOf(state, index, short.bytes));
      count++;
    }
  });
  return found;
}

function optionsOf({ shape }: OpenObject, index: number, name: readonly number[]): PlannedProperty[] {
  const length = escapedBytes(name).length + 4;
  return shape.limits.classes[index].options
    .filter(isPossible)
    .map((option) => ({ index, option, name, cost: length + option.node.cost }));
}

function isPossible({ node }: PropertyOption): boolean {
  return node.cost !== Number.POSITIVE_INFINITY;
}

function listOf(last: Chosen): PlannedProperty[] {
  const properties: PlannedProperty[] = [];
  for (let at: Chosen | undefined = last; at?.property !== undefined; at = at.before) properties.push(at.property);
  return properties.reverse();
}

function bitCount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}
