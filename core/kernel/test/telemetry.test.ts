/** Style rule 13: one emit writes the log line and the metric; memory stays bounded. */
import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import {
  alarmTextCharsMax,
  createTelemetry,
  DefectError,
  defineEvent,
  defineGauge,
  hasCode,
  Lifetime,
  limits,
  type RaisedAlarm,
  recordingTelemetry,
  serveMetrics,
} from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";

const frameRefused = defineEvent<{ stage: string; code: string; count: number; ms: number; detail?: string }>({
  name: "frame_refused",
  level: "warn",
  help: "a frame was refused",
  counter: { name: "frames_refused_total", help: "Frames refused", labels: ["stage", "code"], by: "count" },
  histogram: { name: "refusal_ms", help: "Time to refuse", unit: "milliseconds", labels: ["stage"], value: "ms", buckets: [1, 10] },
});
const quiet = defineEvent<{ n: number }>({
  name: "quiet",
  level: "debug",
  help: "below the level",
  counter: { name: "quiet_total", help: "Quiet events", labels: [] },
});
const depth = defineGauge({ name: "queue_depth", help: "Entries waiting", unit: "entries", labels: ["queue"] });

test("one emit writes one JSON line with role, event and bindings, and moves counter and histogram", async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, "log");
  const fd = openSync(path, "w");
  const telemetry = createTelemetry({ role: "gateway", level: "info", destination: fd });
  const session = telemetry.child({ session: "s1", level: 9 });
  session.emit(frameRefused, { stage: "verify", code: "INGEST_X", count: 3, ms: 4, detail: "x".repeat(limits.logTextBytesMax * 2) });
  session.emit(quiet, { n: 1 });
  session.set(depth, 7, { queue: "in" });
  telemetry.flush();
  closeSync(fd);
  const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
  assert.equal(lines.length, 1, "the debug event is not written");
  const line = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  assert.deepEqual(
    [line["process_role"], line["level"], line["event"], line["session"], line["field_level"]],
    ["gateway", "warn", "frame_refused", "s1", 9],
  );
  assert.ok(String(line["detail"]).length <= limits.logTextBytesMax + 1);
  const metrics = await telemetry.metricsText();
  assert.match(metrics, /^ransomeye_frames_refused_total\{stage="verify",code="INGEST_X"\} 3$/m);
  assert.match(metrics, /^ransomeye_refusal_ms_bucket\{le="10",stage="verify"\} 1$/m);
  assert.match(metrics, /^ransomeye_quiet_total 1$/m);
  assert.match(metrics, /^ransomeye_queue_depth\{queue="in"\} 7$/m);
  assert.match(metrics, /^process_cpu_seconds_total/m);
});

test("a label that an attacker chooses cannot grow the memory, and sums stay right", async () => {
  const telemetry = recordingTelemetry();
  const extra = 100;
  for (let i = 0; i < limits.metricSeriesMax + extra; i += 1)
    telemetry.emit(frameRefused, { stage: "verify", code: `C${i}`, count: 1, ms: 1 });
  const text = await telemetry.metricsText();
  const series = text.split("\n").filter((line) => line.startsWith("ransomeye_frames_refused_total{"));
  assert.equal(series.length, limits.metricSeriesMax + 1);
  assert.ok(series.includes(`ransomeye_frames_refused_total{stage="_other",code="_other"} ${extra}`));
});

test("the recording telemetry keeps events, fields and gauges, also of children", () => {
  const telemetry = recordingTelemetry();
  telemetry.child({ part: 3 }).emit(quiet, { n: 1 });
  telemetry.set(depth, 2, { queue: "in" });
  assert.deepEqual(telemetry.events, [{ name: "quiet", level: "debug", fields: { part: 3, n: 1 } }]);
  assert.equal(telemetry.gauges.get("queue_depth"), 2);
});

test("two definitions of one metric with different labels are a defect", () => {
  const telemetry = recordingTelemetry();
  telemetry.emit(quiet, { n: 1 });
  const other = defineEvent<{ n: number }>({
    name: "other",
    level: "info",
    help: "",
    counter: { name: "quiet_total", help: "", labels: ["n"] },
  });
  assert.throws(() => telemetry.emit(other, { n: 1 }), DefectError);
});

test("names are snake_case", () => {
  assert.throws(() => defineEvent({ name: "FrameRefused", level: "info", help: "" }), DefectError);
  assert.throws(() => defineGauge({ name: "queue-depth", help: "", unit: "", labels: [] }), DefectError);
});

test("R-27 what is an error is an alarm with a metric, or says why it is none; an alarm is raised whatever the log level is", () => {
  const counter = { name: "store_lost_total", help: "Stores lost.", labels: [] };
  const alarm = { title: "The store is lost", severity: "critical", about: ["part"] } as const;
  const base = { name: "store_lost", help: "" } as const;
  const lost = defineEvent<{ part: number; reason: string; seen?: number | undefined }>({ ...base, level: "error", counter, alarm });
  assert.throws(() => defineEvent({ ...base, level: "error", counter }), DefectError);
  assert.throws(() => defineEvent<{ part: number }>({ ...base, level: "error", alarm }), DefectError, "no metric");
  assert.throws(() => defineEvent<{ part: number }>({ ...base, level: "warn", counter, alarm }), DefectError);
  assert.throws(() => defineEvent<{ part: number }>({ ...base, level: "error", counter, alarm, noAlarm: "no" }), DefectError);
  assert.throws(() => defineEvent<{ part: number }>({ ...base, level: "error", counter, alarm: { ...alarm, title: "" } }), DefectError);
  defineEvent({ ...base, level: "error", noAlarm: "somebody else tells it" });

  const raised: RaisedAlarm[] = [];
  const lines: string[] = [];
  const telemetry = createTelemetry({
    role: "t",
    level: "silent",
    destination: { write: (line) => lines.push(line) },
    onAlarm: (one) => raised.push(one),
  });
  telemetry.child({ writer: 2 }).emit(lost, { part: 3, reason: "x".repeat(alarmTextCharsMax + 1), seen: undefined });
  telemetry.emit(quiet, { n: 1 });
  assert.deepEqual(raised, [
    {
      event: "store_lost",
      title: "The store is lost",
      severity: "critical",
      about: { part: "3" },
      fields: { writer: 2, part: 3, reason: "x".repeat(alarmTextCharsMax) },
    },
  ]);
  assert.deepEqual(lines, []);
});

test("metrics are served over a private unix socket, which goes with the lifetime", async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, "m.sock");
  await writeFile(path, "left behind by a dead process");
  const telemetry = recordingTelemetry();
  telemetry.emit(quiet, { n: 1 });
  const lifetime = new Lifetime();
  await serveMetrics(telemetry, path, lifetime);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const found = await get(path, "/metrics");
  assert.equal(found.status, 200);
  assert.match(found.body, /ransomeye_quiet_total 1/);
  assert.equal((await get(path, "/")).status, 404);
  await lifetime.drain();
  await assert.rejects(get(path, "/metrics"));
});

test("R-23 a socket path that the system would cut is refused", () =>
  assert.rejects(serveMetrics(recordingTelemetry(), `/tmp/${"x".repeat(limits.socketPathBytesMax)}`, new Lifetime()), (error) =>
    hasCode(error, "KERNEL_SOCKET_PATH_TOO_LONG"),
  ));

function get(socketPath: string, path: string): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      response.on("end", () => resolve({ status: response.statusCode, body }));
    })
      .on("error", reject)
      .end();
  });
}
