/**
 * Why it exists: what a reader makes of a sensor's alert must not gather under a linger that is meant for ordinary events.
 * Enforces: R-15 from the record to the call of the producer, for `ship` and for the agent. Forbids: producers; the SDK's own tests say what urgent means there.
 */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import { recordingTelemetry, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { type Batch, type FileMark, type Format, readRecords } from "ransomeye-shipper";
import type { Producer, SendManyOptions } from "ransomeye-sdk";
import { AgentLanes } from "../src/agent/agent_lanes.ts";
import { Lane } from "../src/ship/lane.ts";
import type { Lanes } from "../src/ship/lanes.ts";
import { dataDirAt } from "../src/supervisor/data_dir.ts";

const at = "2026-01-05T10:00:00Z";
const connection = { src_ip: "192.0.2.1", src_port: 4711, dest_ip: "192.0.2.2", dest_port: 80, proto: "TCP" };
const metadata = { version: "1.9.0", product: { name: "sensor" } };
const finding = {
  class_uid: 2004,
  category_uid: 2,
  activity_id: 1,
  type_uid: 200401,
  severity_id: 4,
  time: 1,
  finding_info: { uid: "1", title: "t" },
};
const base = { class_uid: 0, category_uid: 0, activity_id: 99, activity_name: "x", type_uid: 99, severity_id: 1, time: 1, metadata };

/** Records as sensors write them: which of them tell of a detection. */
const records: readonly { readonly format: Format; readonly detection: boolean; readonly record: object }[] = [
  {
    format: "suricata_eve",
    detection: true,
    record: {
      timestamp: at,
      event_type: "alert",
      ...connection,
      alert: { action: "allowed", signature_id: 1, signature: "s", severity: 1 },
    },
  },
  { format: "suricata_eve", detection: false, record: { timestamp: at, event_type: "flow", ...connection, flow: { state: "closed" } } },
  { format: "zeek_json", detection: true, record: { _path: "notice", ts: 1.5, note: "SSL::Invalid_Server_Cert", msg: "m" } },
  { format: "zeek_json", detection: false, record: { _path: "weird", ts: 1.5, name: "w", notice: false, peer: "zeek" } },
  {
    format: "falco",
    detection: true,
    record: { rule: "r", priority: "Warning", output: "o", time: at, output_fields: { "proc.name": "cat" } },
  },
  { format: "ocsf_ndjson", detection: true, record: { ...finding, metadata } },
  { format: "ocsf_ndjson", detection: false, record: base },
  // Words do not make an event a detection; its class does.
  { format: "ocsf_ndjson", detection: false, record: { ...base, finding_info: { uid: "1" }, unmapped: { category_uid: 2 } } },
];

async function batchOf(format: Format, some: readonly object[]): Promise<Batch> {
  const text = some.map((record) => `${JSON.stringify(record)}\n`).join("");
  const batches: Batch[] = [];
  for await (const batch of readRecords(Readable.from([Buffer.from(text)]), { name: "input", format })) batches.push(batch);
  const [batch] = batches;
  assert.ok(batch !== undefined && batch.items.every((item) => item.kind === "event"), JSON.stringify(batch));
  return batch;
}

/** A lane whose producer only notes what it was told about each call. */
function listening(): { lane: Lane; told: (boolean | undefined)[] } {
  const told: (boolean | undefined)[] = [];
  const producer = {
    sendMany(lines: readonly Buffer[], { urgent }: SendManyOptions) {
      told.push(urgent);
      const summary = { ranges: [{ epoch: 1, firstSeq: 1, lastSeq: lines.length }], invalid: [], invalidMore: 0, known: true };
      return Promise.resolve({ firstSeq: 1, lastSeq: lines.length, receipt: Promise.resolve(summary) });
    },
    flush: () => undefined,
  } as unknown as Producer;
  return { lane: new Lane(producer, "id", { invalid: () => undefined, placed: () => undefined }), told };
}

test("R-15 BP-16 what a sensor calls an alert or notice is urgent, also as one of many records; nothing else is", async () => {
  for (const { format, detection, record } of records) {
    const other = records.find((one) => one.format === format && !one.detection)?.record;
    const several = other === undefined ? [record] : [other, record, other];
    for (const some of [[record], several]) {
      const { lane, told } = listening();
      const { items } = await batchOf(format, some);
      const lines = items.flatMap((item) => (item.kind === "event" ? [item.line] : []));
      await lane.send(lines, { file: "input", places: items.map(({ place }) => place) }, { cursor: "c", mappingVersion: 1 });
      assert.deepEqual(told, [detection], `${format} ${JSON.stringify(record)}`);
    }
  }
});

test("R-15 BP-16 a detection in a followed file is urgent", async () => {
  const dataDir = dataDirAt(await temporaryDirectory());
  await mkdir(join(dataDir.spool, "sensor"), { recursive: true });
  const { lane, told } = listening();
  const lanes = {
    laneNamed: () => Promise.resolve(lane),
    laneFor: () => Promise.resolve({ lane, name: "sensor", producer: "id" }),
    openCursorOf: () => undefined,
  } as unknown as Lanes;
  const stopped = new AbortController().signal;
  const agent = await AgentLanes.open({ lanes, dataDir, producer: "sensor", clock: systemClock, telemetry: recordingTelemetry(), stopped });
  const fresh = (path: string, { resume: { format, ...point } }: Batch): FileMark => {
    return { path, dev: "1", ino: path, head: { bytes: 0, hash: "" }, format, point, sinceUs: 1 };
  };
  for (const { format, record } of records) {
    const batch = await batchOf(format, [record]);
    await agent.take(format, batch, { fresh: agent.markOf(format) === undefined ? fresh(format, batch) : undefined, head: undefined });
  }
  assert.deepEqual(
    told,
    records.map(({ detection }) => detection),
  );
});
