// Why: Windows writes numbers that no double holds and lines of 32 kB; both must come through as they were written.
import assert from "node:assert/strict";
import { test } from "node:test";
import { validateLine } from "ransomeye-ingestion/protocol";
import { originalOf } from "../src/lib.ts";
import { sorted } from "./helpers.ts";

const time = "2021-06-12T01:07:15.633Z";

test("FMT-2 keywords are exact however they are written: the top bit alone is -9223372036854775808, beyond what a double holds", async () => {
  const written = ["-9223372036854775808", "-9214364837600034816", "9232379236109516800", '"0x8020000000000000"'];
  const logon = {
    EventID: 4624,
    Channel: "Security",
    SourceName: "S",
    Hostname: "WS-7",
    TimeCreated: time,
    TargetUserName: "ann",
    Keywords: "K",
  };
  for (const keywords of written) {
    const record = JSON.stringify(logon).replace('"K"', keywords);
    const { events } = await sorted(`${record}\n`);
    assert.equal(events[0]?.["unmapped"].Keywords, keywords.replaceAll('"', ""));
    assert.equal(originalOf(events[0] ?? {})?.toString(), record);
  }
});

test("FMT-13 a line of 32 kB comes through whole: what it says, its original, and the end of its longest field", async () => {
  const script = `${'Invoke-Command "\u00fc"\r\n\t'.repeat(1_300)}# the end`;
  const record = JSON.stringify({
    EventID: 4104,
    Channel: "Microsoft-Windows-PowerShell/Operational",
    SourceName: "Microsoft-Windows-PowerShell",
    Hostname: "WS-7",
    "@timestamp": time,
    ScriptBlockText: script,
  });
  assert.ok(Buffer.byteLength(record) > 32 * 1024);
  const { events, invalid } = await sorted(`${record}\r\n`);
  assert.deepEqual(invalid, []);
  const event = events[0] ?? {};
  assert.equal(originalOf(event)?.toString(), record);
  assert.equal(validateLine(Buffer.from(JSON.stringify(event))), null);
  assert.deepEqual([event["metadata"].labels, event["device"].hostname], [undefined, "WS-7"]);
  assert.equal(event["unmapped"].ScriptBlockText, script);
});
