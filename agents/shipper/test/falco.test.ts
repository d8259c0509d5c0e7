// Why: Falco's fields come flat or nested, its time in nanoseconds that no double counts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventOf, sorted } from "./helpers.ts";

const alert = {
  uuid: "0f1e",
  output: "09:48:02 Warning read",
  priority: "Warning",
  rule: "Read sensitive file",
  source: "syscall",
  hostname: "node-1",
  time: "2024-10-30T09:48:02.285310579Z",
  tags: ["T1555", "T1552.001", "mitre_credential_access", "mitre_other", "host"],
};
const flat = {
  "evt.time": 1,
  "proc.name": "cat",
  "proc.pid": 99,
  "proc.exepath": "/usr/bin/cat",
  "proc.cmdline": "cat /etc/shadow",
  "proc.pname": "runc",
  "proc.ppid": 1,
  "user.name": "root",
  "user.uid": 0,
  "fd.name": "/etc/shadow",
  "container.id": "<NA>",
};
const nested = {
  evt: { time: 1 },
  proc: { name: "cat", pid: 99, exepath: "/usr/bin/cat", cmdline: "cat /etc/shadow", pname: "runc", ppid: 1 },
  user: { name: "root", uid: 0 },
  fd: { name: "/etc/shadow" },
  container: { id: "<NA>" },
};

test("flat and nested fields give the same finding, with MITRE's names from its tags", async () => {
  const [one, other] = await Promise.all([flat, nested].map((output_fields) => eventOf({ ...alert, output_fields })));
  assert.ok(one !== undefined && other !== undefined);
  const { event, row } = one;
  assert.deepEqual(
    [
      event["type_uid"],
      event["severity_id"],
      row.host,
      row.processName,
      row.processPid,
      row.userName,
      row.filePath,
      row.message,
      row.eventTimeUs,
    ],
    [200_401, 3, "node-1", "cat", 99, "root", "/etc/shadow", "Read sensitive file", 1_730_281_682_285_310],
  );
  assert.deepEqual(event["evidences"], other.event["evidences"]);
  assert.deepEqual(event["finding_info"].attacks, [
    { technique: { uid: "T1555" } },
    { technique: { uid: "T1552" }, sub_technique: { uid: "T1552.001" } },
    { tactic: { uid: "TA0006", name: "Credential Access" } },
  ]);
  assert.deepEqual([event["finding_info"].types, event["metadata"].original_event_uid], [alert.tags, "0f1e"]);
  assert.deepEqual(event["unmapped"], { output_fields: { "evt.time": 1, "container.id": "<NA>" } });
});

test("FMT-2 nanoseconds beyond 2^53 are cut to the microsecond, never rounded by a double", async () => {
  const { time: _, ...timeless } = alert;
  const line = JSON.stringify({ ...timeless, output_fields: { "evt.time": 0 } });
  for (const [written, us] of [
    ["1730281682285310999", 1_730_281_682_285_310],
    ["1730281682999999999", 1_730_281_682_999_999],
    ["-1", -1],
  ] as const) {
    const { events } = await sorted(`${line.replace('"evt.time":0', `"evt.time":${written}`)}\n`);
    assert.equal(events[0]?.["time"], Math.floor(us / 1000));
    assert.equal(String(events[0]?.["unmapped"].output_fields["evt.time"]), written);
    if (us > 0) assert.equal(events[0]?.["time_dt"].slice(20, 26), String(us).slice(-6));
  }
  const { invalid } = await sorted(`${line.replace('"evt.time":0', '"evt.time":"soon"')}\n`);
  assert.equal(invalid[0]?.code, "SHIP_TIME_MISSING");
});

test("connections: client and server where Falco knows them, else this end as the source", async () => {
  const client = await eventOf({
    ...alert,
    output_fields: {
      "fd.name": "192.0.2.1:5->192.0.2.2:443",
      "fd.cip": "192.0.2.1",
      "fd.cport": 5,
      "fd.sip": "192.0.2.2",
      "fd.sport": 443,
      "fd.l4proto": "tcp",
    },
  });
  assert.deepEqual([client.row.srcIp, client.row.dstIp, client.row.dstPort, client.row.filePath], ["192.0.2.1", "192.0.2.2", 443, null]);
  const local = await eventOf({ ...alert, output_fields: { "fd.lip": "192.0.2.3", "fd.rip": "192.0.2.4" } });
  assert.deepEqual([local.row.srcIp, local.row.dstIp], ["192.0.2.3", "192.0.2.4"]);
});

test("every priority has a severity; an alert without fields is still a finding", async () => {
  const severities = await Promise.all(
    ["Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug"].map(
      async (priority) => (await eventOf({ ...alert, priority, output_fields: {} })).event["severity_id"] as number,
    ),
  );
  assert.deepEqual(severities, [6, 5, 5, 4, 3, 2, 1, 1]);
  for (const bare of [alert, { ...alert, output_fields: null }]) assert.equal((await eventOf(bare)).event["evidences"], undefined);
});
