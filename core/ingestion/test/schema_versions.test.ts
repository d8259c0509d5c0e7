// Why: agents of two releases send to one gateway; what each signed decides how it is judged, and neither may be judged by the other's rules.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  chooseVersion,
  classes,
  deriveLine,
  hasClass,
  INVALID_CODES,
  newestSchema,
  newRowColumns,
  schemaOf,
  schemas,
  schemaVersions,
  validateLine,
  validatePayload,
  type ColumnText,
  type EventSchema,
  type RowColumns,
} from "../protocol/lib.ts";
import { baseEvent, type Json, payloadOf, sampleEvents } from "./event_samples.ts";

const [second, first] = schemas as readonly [EventSchema, EventSchema];

function code(event: Json, schema: EventSchema): number {
  const line = Buffer.from(JSON.stringify(event));
  const check = validatePayload(payloadOf([event]), 1, schema);
  const fault = check.kind === "lines" ? check.invalid[0] : undefined;
  assert.equal(validateLine(line, schema)?.code, fault?.code, "a line is judged as its payload is");
  return fault?.code ?? 0;
}

test("ING-7 the newest version and the one before it are admitted, newest first", () => {
  assert.deepEqual(schemaVersions, [newestSchema.version, newestSchema.version - 1]);
  assert.equal(schemaOf(newestSchema.version + 1), undefined);
  assert.equal(schemaOf(0), undefined);
  assert.equal(chooseVersion([1], schemaVersions), 1);
  assert.equal(chooseVersion([1, 2, 3], schemaVersions), 2);
  assert.equal(chooseVersion([3], schemaVersions), undefined);
});

test("ING-7 each version has its own classes; an older one does not know what a newer one brought", () => {
  const brought = Object.keys(classes)
    .map(Number)
    .filter((uid) => !hasClass(first, uid));
  assert.deepEqual(brought, [1002, 1003, 1004, 1008, 3006, 3007]);
  for (const event of sampleEvents) {
    const uid = event["class_uid"] as number;
    assert.equal(code(event, second), 0, `${uid}`);
    assert.equal(code(event, first), brought.includes(uid) ? INVALID_CODES.EVENT_CLASS_UNKNOWN.number : 0, `${uid}`);
  }
});

test("ING-7 a rule that became stricter holds for frames of the newer version alone", () => {
  for (const event of [baseEvent(0, 0, { severity_id: 7 }), baseEvent(0, 0, { activity_id: 100, type_uid: 100 })]) {
    assert.equal(code(event, first), 0);
    assert.equal(code(event, second), INVALID_CODES.EVENT_FIELD_RANGE.number);
  }
  assert.equal(code(baseEvent(0, 0, { severity_id: 99 }), second), 0);
});

test("ING-7 fields that no version knows are kept, whatever they hold", () => {
  for (const schema of schemas) assert.equal(code(baseEvent(0, 0, { from_a_later_release: { deep: [1, { "": null }] } }), schema), 0);
});

test("ING-7 rows of every version are derived alike: what was valid when it was signed has its columns", () => {
  for (const event of [baseEvent(0, 0, { severity_id: 7, message: "kept" }), ...sampleEvents]) {
    const payload = payloadOf([event]);
    const row: RowColumns<ColumnText> = newRowColumns();
    assert.ok(deriveLine(payload, 0, payload.length - 1, 1_700_000_000_000_000, row));
    assert.equal(row.severityId, event["severity_id"]);
    assert.equal(row.classUid, event["class_uid"]);
  }
});
