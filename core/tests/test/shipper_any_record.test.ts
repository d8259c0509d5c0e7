// Why: a bad record costs that record: no record of any shape may stop its input, and no event may leave that the gate would refuse.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { validateLine } from "ransomeye-ingestion/protocol";
import { type Format, type Item, originalOf, readRecords } from "ransomeye-shipper";
import { lostLeaves } from "../src/corpus/lost_leaves.ts";

async function itemOf(bytes: Buffer, format: Format): Promise<Item | undefined> {
  const input = (async function* (): AsyncGenerator<Buffer> {
    yield bytes;
  })();
  for await (const batch of readRecords(input, { name: "any", format })) return batch.items[0];
  return undefined;
}

/** Formats whose records are JSON objects that a mapping takes apart. */
type ObjectFormat = "suricata_eve" | "zeek_json" | "windows_event_json";

const names: Readonly<Record<ObjectFormat, readonly string[]>> = {
  suricata_eve: [
    ..."timestamp event_type src_ip src_port dest_ip dest_port proto flow_id alert http dns tls ssh smb rdp krb5 fileinfo flow netflow app_proto host".split(
      " ",
    ),
    ..."hostname url status answers rrname rdata type queries signature_id severity sni version serial ja3 hash filename sha256 cname start client".split(
      " ",
    ),
  ],
  zeek_json: [
    ..."ts _path @stream uid id id.orig_h id.orig_p id_resp_h orig_h proto conn_state duration query answers TTLs rcode trans_id method uri".split(
      " ",
    ),
    ..."tx_hosts rx_hosts filename sha256 source fuid client username note msg name peer notice established server_name share_type action".split(
      " ",
    ),
  ],
  windows_event_json: [
    ..."EventID Channel SourceName UtcTime TimeCreated EventTime EventReceivedTime @timestamp Hostname host winlog event_data event_id Event System EventData".split(
      " ",
    ),
    ..."ProcessId Image Hashes TargetFilename TargetObject EventType Message SourceIp DestinationPort IpAddress ObjectType ObjectName AccessMask".split(
      " ",
    ),
    ..."SubjectUserName TargetUserName QueryResults TaskName ShareName Provider Level #attributes SystemTime computer_name".split(" "),
  ],
};

/** What makes a mapping look further: a time, and the word that chooses its reader. */
const openings: Readonly<Record<ObjectFormat, fc.Arbitrary<object>>> = {
  suricata_eve: fc.record({
    timestamp: fc.constant("2024-04-25T03:06:32.258446+0530"),
    event_type: fc.constantFrom("alert", "http", "dns", "tls", "ssh", "smb", "rdp", "krb5", "fileinfo", "flow", "netflow", "anomaly"),
    src_ip: fc.constantFrom("192.0.2.1", "FE80::1%eth0", "nobody"),
    app_proto: fc.constantFrom("http", "smb", "ftp"),
  }),
  zeek_json: fc.record({
    ts: fc.constantFrom<unknown>(1_588_205_198.89971, "2020-04-30T00:06:38Z"),
    _path: fc.constantFrom(
      "conn",
      "dns",
      "http",
      "ssl",
      "files",
      "smb_files",
      "smb_mapping",
      "kerberos",
      "ntlm",
      "ssh",
      "rdp",
      "notice",
      "weird",
      "other",
    ),
  }),
  windows_event_json: fc.record({
    UtcTime: fc.constant("2021-06-12 01:07:15.633"),
    Channel: fc.constantFrom("Microsoft-Windows-Sysmon/Operational", "Security", "Microsoft-Windows-TaskScheduler/Operational", "System"),
    EventID: fc.constantFrom<unknown>(
      1,
      3,
      5,
      7,
      8,
      10,
      11,
      12,
      13,
      14,
      17,
      22,
      25,
      "106",
      "4624",
      4625,
      4648,
      4656,
      4657,
      4663,
      4670,
      4688,
      4689,
      4698,
      4769,
      4776,
      5140,
      5145,
      5156,
    ),
  }),
};

/** Values that mappings look at closely, among any others. */
const telling = fc.constantFrom<unknown>(
  "2024-04-25T03:06:32.258446+0530",
  "2021-06-12 01:07:15.633",
  1.5,
  1e300,
  -1,
  "alert",
  "http",
  "dns",
  "fileinfo",
  "krb5",
  "conn",
  "files",
  "kerberos",
  "notice",
  1,
  3,
  7,
  13,
  22,
  4624,
  4663,
  5156,
  "4688",
  "Security",
  "Microsoft-Windows-Sysmon/Operational",
  "File",
  "Key",
  "SHA256=AB",
  "192.0.2.1",
  "-",
  "",
  null,
  "0x10",
  "CreateKey",
  "<EventData><Data Name='a'>&#x110000;&#0;</Data></EventData>",
  "HTTP",
  "SMB",
);

for (const format of Object.keys(names) as ObjectFormat[]) {
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { depthSize: "small" },
      telling,
      fc.jsonValue({ maxDepth: 2 }),
      fc.dictionary(fc.constantFrom(...names[format]), tie("node"), { maxKeys: 8 }),
      fc.array(tie("node"), { maxLength: 3 }),
    ),
  })).node;
  test(`${format}: whatever a record holds, it gives a valid event with its original and all its values, or a reason`, async () => {
    await fc.assert(
      fc.asyncProperty(
        openings[format],
        fc.dictionary(fc.constantFrom(...names[format]), value, { maxKeys: 14 }),
        async (opening, more) => {
          const record = { ...more, ...opening };
          const bytes = Buffer.from(JSON.stringify(record));
          const item = await itemOf(bytes, format);
          assert.ok(item !== undefined);
          if (item.kind === "invalid") {
            assert.match(item.message, /^[\x20-\x7e]+$/);
            return;
          }
          assert.equal(validateLine(item.line), null);
          const event = JSON.parse(item.line.toString()) as Record<string, unknown>;
          assert.deepEqual(originalOf(event), bytes);
          assert.deepEqual(lostLeaves(JSON.parse(bytes.toString()), event), []);
        },
      ),
      { numRuns: 1500 },
    );
  });
}
