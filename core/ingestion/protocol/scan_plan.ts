// Why: the scanner meets names as bytes, before it knows the event's class; it needs the schema's table in a form made for that.
// Enforces: what a name means in each object, from the same tables as the checker; one plan for all classes, whose required fields are told apart
//   at the end, so a name must mean the same in all of them.
// Forbids: knowledge of fields that is not in the tables.

import { objects, type FieldTable } from "./event_objects.ts";
import { readNotation, type BasicType } from "./event_plan.ts";
import { baseFields, classes, type EventSchema, hasClass, newestSchema, ranges, schemas } from "./event_schema.ts";
import { slotTree, type SlotNode } from "./event_values.ts";

/** What came next the last time: sources write their fields in one order, so the next name need only be compared. */
export interface FieldOrder {
  next: ScanField | undefined;
}

/** A name that the table knows. */
export interface ScanField {
  readonly name: Buffer;
  readonly type: BasicType;
  readonly list: boolean;
  /** Set for objects. */
  readonly plan: ScanPlan | null;
  /** Where its value is kept, or -1. */
  readonly slot: number;
  /** Set where it matters whether the field is there, and that it is there once; else 0. */
  readonly bit: number;
  readonly order: FieldOrder;
}

/** Hash of a name, byte by byte. */
export function nameHash(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + byte) | 0;
}

/** What one object may hold. */
export class ScanPlan {
  /** All these bits must be seen. */
  required = 0;
  /** One of these bits must be seen, where there are any. */
  anyOf = 0;
  /** What came first the last time. */
  readonly order: FieldOrder = { next: undefined };
  #mask = 0;
  #table: (ScanField | undefined)[] = [];

  /** Places the fields so that a name is found at its first or a near place. */
  fill(fields: readonly ScanField[]): void {
    let size = 4;
    while (size < fields.length * 4) size *= 2;
    this.#mask = size - 1;
    this.#table = new Array<ScanField | undefined>(size).fill(undefined);
    for (const field of fields) {
      let hash = 0;
      for (const byte of field.name) hash = nameHash(hash, byte);
      let at = (hash ^ (hash >>> 15)) & this.#mask;
      while (this.#table[at] !== undefined) at = (at + 1) & this.#mask;
      this.#table[at] = field;
    }
  }

  /** The field whose name is the bytes [from, to) with this hash. */
  find(bytes: Uint8Array, from: number, to: number, hash: number): ScanField | undefined {
    for (let at = (hash ^ (hash >>> 15)) & this.#mask; ; at = (at + 1) & this.#mask) {
      const field = this.#table[at];
      if (field === undefined || isName(field.name, bytes, from, to)) return field;
    }
  }
}

function isName(name: Buffer, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[from + i]) return false;
  return true;
}

/** Whether the name stands at `from`, with its closing quote. */
export function isQuoted(name: Buffer, bytes: Uint8Array, from: number): boolean {
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[from + i]) return false;
  return bytes[from + name.length] === 0x22;
}

const noSlots: SlotNode = { slot: -1, below: new Map() };
/** Objects below which nothing is kept need one plan each, wherever they occur. */
const plansByName = new Map<string, ScanPlan>();

function objectPlan(name: string, slots: SlotNode): ScanPlan {
  const shared = slots.below.size === 0;
  const known = shared ? plansByName.get(name) : undefined;
  if (known !== undefined) return known;
  const spec = objects[name];
  if (spec === undefined) throw new Error(`the event schema names no object ${name}`);
  const plan = new ScanPlan();
  if (shared) plansByName.set(name, plan); // before its fields: a process has a parent process
  const anyOf = spec.anyOf ?? [];
  const table: FieldTable = { ...Object.fromEntries(anyOf.map((field) => [field, "any"])), ...spec.fields };
  const bits = new Bits(name);
  const fields = Object.entries(table).map(([field, notation]) => {
    const { mandatory } = readNotation(notation);
    const below = slots.below.get(field) ?? noSlots;
    const bit = mandatory || anyOf.includes(field) || below.slot >= 0 ? bits.next() : 0;
    if (mandatory) plan.required |= bit;
    if (anyOf.includes(field)) plan.anyOf |= bit;
    return scanField(field, notation, below, bit);
  });
  plan.fill(fields);
  allKnown(slots, new Set(Object.keys(table)), name);
  return plan;
}

/** A place that rows read and the schema does not have would be empty in scanned lines only. */
function allKnown(slots: SlotNode, names: ReadonlySet<string>, of: string): void {
  for (const name of slots.below.keys()) if (!names.has(name)) throw new Error(`the event schema has no field ${name} in ${of}`);
}

function scanField(name: string, notation: string, slots: SlotNode, bit: number): ScanField {
  const { type, list, object } = readNotation(notation);
  const plan = object === null ? null : objectPlan(object, list ? noSlots : slots);
  return { name: Buffer.from(name), type, list, plan, slot: slots.slot, bit, order: { next: undefined } };
}

/** Hands out the bits of one plan. */
class Bits {
  readonly #of: string;
  #next = 0;

  constructor(of: string) {
    this.#of = of;
  }

  next(): number {
    if (this.#next === 31) throw new Error(`too many fields of ${this.#of} matter for one word of bits`);
    return 1 << this.#next++;
  }
}

function eventPlan(): { readonly plan: ScanPlan; readonly requiredByClass: ReadonlyMap<number, number> } {
  const notations = new Map<string, string>(Object.entries(baseFields));
  const required = new Set<string>();
  const bare = (notation: string): string => (notation.endsWith("!") ? notation.slice(0, -1) : notation);
  for (const { fields } of Object.values(classes)) {
    for (const [name, notation] of Object.entries({ ...baseFields, ...fields })) {
      const known = notations.get(name);
      if (known !== undefined && bare(known) !== bare(notation)) throw new Error(`two classes understand ${name} differently`);
      notations.set(name, notation);
      if (notation.endsWith("!")) required.add(name);
    }
  }
  const bits = new Bits("an event");
  const bitOf = new Map<string, number>();
  const fields = [...notations].map(([name, notation]): ScanField => {
    const below = slotTree.below.get(name) ?? noSlots;
    const bit = required.has(name) || below.slot >= 0 ? bits.next() : 0;
    bitOf.set(name, bit);
    return scanField(name, notation, below, bit);
  });
  const plan = new ScanPlan();
  plan.fill(fields);
  allKnown(slotTree, new Set(notations.keys()), "an event");
  const requiredByClass = new Map(
    Object.entries(classes).map(([uid, spec]) => {
      const table: FieldTable = { ...baseFields, ...spec.fields };
      const mask = Object.keys(table).reduce((sum, name) => (table[name]?.endsWith("!") ? sum | (bitOf.get(name) ?? 0) : sum), 0);
      return [Number(uid), mask] as const;
    }),
  );
  return { plan, requiredByClass };
}

const event = eventPlan();
/** The plan of a whole event, of any class. */
export const eventScanPlan: ScanPlan = event.plan;

/** What the scanner holds an event to beside the plan. */
export interface ScanRules {
  /** Bits that an event of this class must show; a class that is not there is not known. */
  readonly requiredByClass: ReadonlyMap<number, number>;
  readonly activityMax: number;
  readonly severityMax: number;
  readonly severityOther: number;
}

function rulesOf(schema: EventSchema): ScanRules {
  const { activityMax, severityMax, severityOther } = schema;
  const requiredByClass = new Map([...event.requiredByClass].filter(([classUid]) => hasClass(schema, classUid)));
  return Object.freeze({ requiredByClass, activityMax, severityMax, severityOther });
}

const rulesByVersion: ReadonlyMap<number, ScanRules> = new Map(schemas.map((schema) => [schema.version, rulesOf(schema)]));
const newestRules = rulesOf(newestSchema);

/** The rules of a version. */
export function scanRules({ version }: EventSchema): ScanRules {
  return rulesByVersion.get(version) ?? newestRules;
}

/** For whoever derives rows: the verdict has been passed before, under the frame's own version. */
export const anyVersionRules: ScanRules = Object.freeze({
  requiredByClass: event.requiredByClass,
  activityMax: ranges.smallMax,
  severityMax: ranges.smallMax,
  severityOther: ranges.smallMax,
});
