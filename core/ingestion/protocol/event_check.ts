// Why: what a parsed event lacks is said here, in words and with its place. The scanner (event_scan.ts) only says that nothing is lacking; this decides.
// Enforces: types, required fields, ranges and consistent uids, in one walk over what the table knows of the event.
// Forbids: regular expressions, exceptions, allocation for a valid event, and bounds: they hold of the bytes, before there is an event (event_bounds.ts).
//
// Rejected: a general JSON Schema validator (with patterns it costs more than JSON.parse) and generated source text (nothing here evals).

import { objects, type FieldTable } from "./event_objects.ts";
import { basic, readNotation, type BasicType } from "./event_plan.ts";
import { baseFields, classes, type ClassSpec, type EventSchema, hasClass, newestSchema, ranges } from "./event_schema.ts";
import { INVALID_CODES, type InvalidCode } from "./invalid_codes.ts";

/** Why an event is invalid. `reason` is ASCII, bounded, and names the path of the field where there is one. */
export interface EventFault {
  readonly code: InvalidCode;
  readonly reason: string;
}

interface FieldPlan {
  readonly type: BasicType;
  readonly list: boolean;
  /** What the object holds; set for type `object`. */
  readonly plan: Plan | null;
  /** Bits that this field's presence sets. */
  readonly bits: number;
}

interface Plan {
  readonly fields: Map<string, FieldPlan>;
  /** Bits that must be set at the end: one for each required field, one for `anyOf`. */
  required: number;
  readonly spec: { readonly fields: FieldTable; readonly anyOf?: readonly string[] };
}

const anyOfBit = 1;
const plansByName = new Map<string, Plan>();

function objectPlan(name: string): Plan {
  const known = plansByName.get(name);
  if (known !== undefined) return known;
  const spec = objects[name];
  if (spec === undefined) throw new Error(`the event schema names no object ${name}`);
  const plan: Plan = { fields: new Map(), required: 0, spec };
  plansByName.set(name, plan); // before its fields: a process has a parent process
  fillPlan(plan);
  return plan;
}

function fillPlan(plan: Plan): void {
  const anyOf = new Set(plan.spec.anyOf ?? []);
  plan.required = anyOf.size > 0 ? anyOfBit : 0;
  let nextBit = anyOfBit << 1;
  for (const [name, notation] of Object.entries(plan.spec.fields)) {
    const { type, list, mandatory, object } = readNotation(notation);
    let bits = anyOf.delete(name) ? anyOfBit : 0;
    if (mandatory) {
      bits |= nextBit;
      plan.required |= nextBit;
      nextBit <<= 1;
    }
    plan.fields.set(name, { type, list, plan: object === null ? null : objectPlan(object), bits });
  }
  for (const name of anyOf) plan.fields.set(name, { type: basic.any, list: false, plan: null, bits: anyOfBit });
}

function classPlan(spec: ClassSpec): Plan {
  const plan: Plan = { fields: new Map(), required: 0, spec: { fields: { ...baseFields, ...spec.fields } } };
  fillPlan(plan);
  return plan;
}

const planByClass: ReadonlyMap<number, Plan> = new Map(
  Object.entries(classes).map(([uid, spec]) => [Number(uid), classPlan(spec)] as const),
);

/** Set by a failing step, read by `checkEvent`; steps are synchronous, so one is enough. Innermost name first. */
let faultPath: string[] = [];
let faultDetail = "";

const ok = 0;
type Outcome = typeof ok | InvalidCode;
const wrongType = INVALID_CODES.EVENT_FIELD_TYPE.number;
const missing = INVALID_CODES.EVENT_FIELD_MISSING.number;
const outOfRange = INVALID_CODES.EVENT_FIELD_RANGE.number;

function fail(code: InvalidCode, name: string, detail: string): InvalidCode {
  faultPath = [name];
  faultDetail = detail;
  return code;
}

function checkValue(field: FieldPlan, name: string, value: unknown): Outcome {
  switch (field.type) {
    case basic.string:
      return typeof value === "string" ? ok : fail(wrongType, name, "is not a string");
    case basic.integer:
      return Number.isInteger(value) ? ok : fail(wrongType, name, "is not an integer");
    case basic.boolean:
      return typeof value === "boolean" ? ok : fail(wrongType, name, "is not true or false");
    case basic.any:
      return ok;
    case basic.object: {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return fail(wrongType, name, "is not an object");
      const outcome = checkObject(field.plan as Plan, value as Record<string, unknown>);
      if (outcome !== ok) faultPath.push(name);
      return outcome;
    }
  }
}

function checkList(field: FieldPlan, name: string, value: unknown): Outcome {
  if (!Array.isArray(value)) return fail(wrongType, name, "is not a list");
  for (let i = 0; i < value.length; i++) {
    const outcome = checkValue(field, "", value[i]);
    if (outcome !== ok) {
      faultPath.push(`${name}[${i}]`);
      return outcome;
    }
  }
  return ok;
}

function checkObject(plan: Plan, value: Record<string, unknown>): Outcome {
  const fields = plan.fields;
  let seen = 0;
  for (const name in value) {
    const item = value[name];
    const field = fields.get(name);
    if (field === undefined || item === null || item === undefined) continue;
    const outcome = field.list ? checkList(field, name, item) : checkValue(field, name, item);
    if (outcome !== ok) return outcome;
    seen |= field.bits;
  }
  return (seen & plan.required) === plan.required ? ok : missingField(plan, seen);
}

function missingField(plan: Plan, seen: number): InvalidCode {
  for (const [name, field] of plan.fields) {
    const lacking = field.bits & ~anyOfBit & ~seen;
    if (lacking !== 0) return fail(missing, name, "is required");
  }
  return fail(missing, "", `needs one of ${(plan.spec.anyOf ?? []).join(", ")}`);
}

/** What the table cannot say: ranges, and uids that must agree. Types are checked before. */
function checkRules(event: Record<string, unknown>, classUid: number, schema: EventSchema): Outcome {
  const { activityMax, severityMax, severityOther } = schema;
  const time = event["time"] as number;
  if (time < ranges.timeMsMin || time > ranges.timeMsMax)
    return fail(outOfRange, "time", "is outside the years 1900 to 2200 (milliseconds since 1970 UTC)");
  const activity = event["activity_id"] as number;
  if (activity < 0 || activity > activityMax) return fail(outOfRange, "activity_id", `is outside 0 to ${activityMax}`);
  const severity = event["severity_id"] as number;
  if (severity < 0 || (severity > severityMax && severity !== severityOther))
    return fail(
      outOfRange,
      "severity_id",
      `is outside 0 to ${severityMax}${severityOther > severityMax ? ` and not ${severityOther}` : ""}`,
    );
  if (event["category_uid"] !== (classes[classUid] as ClassSpec).categoryUid)
    return fail(INVALID_CODES.EVENT_UID_MISMATCH.number, "category_uid", "is not the category of class_uid");
  if (event["type_uid"] !== classUid * 100 + activity)
    return fail(INVALID_CODES.EVENT_UID_MISMATCH.number, "type_uid", "is not class_uid * 100 + activity_id");
  const version = (event["metadata"] as Record<string, unknown>)["version"] as string;
  if (!version.startsWith("1.")) return fail(INVALID_CODES.EVENT_SCHEMA_VERSION.number, "metadata.version", "does not begin with 1.");
  return ok;
}

function fault(code: InvalidCode): EventFault {
  const path = faultPath
    .reverse()
    .filter((part) => part !== "")
    .join(".");
  return { code, reason: path === "" ? faultDetail : `${path} ${faultDetail}` };
}

/**
 * Checks one parsed value, which has kept its bounds, against a version of the schema. `null` means valid. A field that is `null` or
 * `undefined` (in an event that is still being built) counts as absent. Never throws for a JSON value; never changes the event.
 */
export function checkEvent(event: unknown, schema: EventSchema = newestSchema): EventFault | null {
  if (typeof event !== "object" || event === null || Array.isArray(event)) {
    return {
      code: INVALID_CODES.EVENT_NOT_OBJECT.number,
      reason: `is ${event === null ? "null" : Array.isArray(event) ? "a list" : `a ${typeof event}`}`,
    };
  }
  const fields = event as Record<string, unknown>;
  const classUid = fields["class_uid"];
  const plan = typeof classUid === "number" && hasClass(schema, classUid) ? planByClass.get(classUid) : undefined;
  if (plan === undefined) {
    const detail =
      typeof classUid === "number"
        ? `class_uid ${classUid} is not in version ${schema.version} of the subset`
        : classUid === undefined
          ? "class_uid is required"
          : "class_uid is not an integer";
    return { code: INVALID_CODES.EVENT_CLASS_UNKNOWN.number, reason: detail };
  }
  let outcome = checkObject(plan, fields);
  if (outcome === ok) outcome = checkRules(fields, classUid as number, schema);
  return outcome === ok ? null : fault(outcome);
}
