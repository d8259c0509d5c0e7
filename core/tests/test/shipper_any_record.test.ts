// Why: a bad record costs that record: no record of any shape may stop its input, and no event may leave that the gate would refuse.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { validateLine } from "ransomeye-ingestion/protocol";
import { type Format, type Item, originalOf, readRecords } from "ransomeye-shipper";
import { lostLeaves } from "../src/corpus/lost_leaves.ts";
import { valuesOf } from "../src/corpus/record_values.ts";

async function itemOf(bytes: Buffer, format: Format): Promise<Item | undefined> {
  const input = (async function* (): AsyncGenerator<Buffer> {
    yield bytes;
  })();
  for await (const batch of readRecords(input, { name: "any", format })) return batch.items[0];
  return undefined;
}

/** Formats whose records are JSON objects that a mapping takes apart. */
type ObjectFormat =
  | "suricata_eve"
  | "zeek_json"
  | "windows_event_json"
  | "windows_etw_json"
  | "azure_monitor_json"
  | "osquery"
  | "falco"
  | "tetragon";

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
  azure_monitor_json: [
    ..."TimeGenerated EventTime HostName Computer SeverityLevel SyslogMessage ProcessName ProcessID EventData Facility Direction SourceIp".split(
      " ",
    ),
    ..."DestinationIp DestinationPort Protocol BytesSent BytesReceived ConnectionId".split(" "),
  ],
  windows_event_json: [
    ..."EventID Channel SourceName UtcTime TimeCreated EventTime EventReceivedTime @timestamp Hostname host winlog event_data event_id Event System EventData".split(
      " ",
    ),
    ..."ProcessId Image Hashes TargetFilename TargetObject EventType Message SourceIp DestinationPort IpAddress ObjectType ObjectName AccessMask".split(
      " ",
    ),
    ..."SubjectUserName TargetUserName QueryResults TaskName ShareName Provider Level #attributes SystemTime computer_name".split(" "),
    ..."TargetDomainName TargetSid MemberName MemberSid SamAccountName DisplayName OldTargetUserName Keywords UserData BackupPath".split(
      " ",
    ),
  ],
  windows_etw_json: [
    ..."provider_name provider_guid event_id event_name opcode level keywords timestamp process_id thread_id activity_id computer properties".split(
      " ",
    ),
    ..."header XmlEventData ProviderName ProviderGuid EventName TimeStamp ProcessID ParentProcessID ImageName ExitCode CreateTime FilePath".split(
      " ",
    ),
    ..."saddr sport daddr dport PID LocalAddress RemoteAddress QueryName QueryType QueryStatus QueryResults DnsServerIpAddress".split(" "),
    ..."CallingProcessId CallingThreadId TargetProcessId BaseAddress RegionSize BytesCopied ProtectionMask".split(" "),
  ],
  osquery: [
    ..."name hostIdentifier calendarTime unixTime columns action snapshot diffResults added removed decorations hostname host_uuid".split(
      " ",
    ),
    ..."severity filename message version pid parent path cmdline uid auid time type event_type target_path sha256 size operation".split(
      " ",
    ),
    ..."local_address local_port remote_address remote_port protocol status address terminal user tty host executable".split(" "),
    ..."counter gid username groupname description comment uuid group_sid used_by".split(" "),
  ],
  falco: [
    ..."output priority rule time output_fields source tags hostname uuid evt.time evt proc proc.name proc.pid name pid cmdline".split(" "),
    ..."fd.name fd.cip fd.sip fd.sport fd.lip fd.rip fd cip sip l4proto user user.name uid ka.user.name container.id".split(" "),
  ],
  tetragon: [
    ..."process_exec process_exit process_kprobe process_connect process_close process_listen process_loader node_name time".split(" "),
    ..."process parent pid exec_id uid binary arguments cwd start_time user name status function_name args sock_arg file_arg path module_arg string_arg".split(
      " ",
    ),
    ..."source_ip source_port destination_ip ip port protocol stats bytes_sent aggregation_info count message saddr sport".split(" "),
  ],
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

/** An object of these fields with values that mappings look at. */
function holding(words: readonly string[]): fc.Arbitrary<object> {
  return fc.dictionary(fc.constantFrom(...words), telling, { minKeys: 1, maxKeys: 12 });
}

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
  azure_monitor_json: fc.record({
    TimeGenerated: fc.constant("2026-01-05T10:00:01.5Z"),
    Type: fc.constantFrom("Syslog", "VMConnection"),
    SyslogMessage: fc.constantFrom(
      "plain words",
      '<Event><System><EventID>1</EventID></System><EventData><Data Name="Image">x</Data></EventData></Event>',
      "<Event><System><Channel>Linux-Sysmon/Operational</Channel></System><Even",
      'type=AUOMS_EXECVE audit(1652292621.986:7): pid=4 exe="/bin/ls" syscall=execve',
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
      6,
      104,
      1102,
      1105,
      4720,
      4732,
      4737,
      4738,
      4740,
      4781,
      6005,
    ),
    SourceName: fc.constantFrom("Microsoft-Windows-Eventlog", "EventLog", "Other"),
  }),
  windows_etw_json: fc.record({
    timestamp: fc.constantFrom<unknown>("2024-05-01T10:00:00.1234567Z", "133590312001234567"),
    provider_name: fc.constantFrom(
      ..."Kernel-Process Kernel-File Kernel-Network TCPIP DNS-Client Threat-Intelligence Other"
        .split(" ")
        .map((name) => `Microsoft-Windows-${name}`),
    ),
    event_id: fc.constantFrom(1, 2, 3, 5, 6, 10, 12, 14, 15, 26, 28, 30, 42, 1002, 1017, 1033, 3006, 3008),
    keywords: fc.constantFrom<unknown>("-9223372036854775808", "0x10", 5, "x"),
    properties: holding(names.windows_etw_json),
  }),
  osquery: fc.record({
    unixTime: fc.constantFrom<unknown>("1512649280", 1_512_649_280),
    hostIdentifier: fc.constantFrom("web-1", "72E1287B-D1BC-4FC6-B9D8-64F4352776A9"),
    name: fc.constantFrom(
      ..."process_events es_process_events file_events process_file_events socket_events process_open_sockets user_events logged_in_users kernel_modules users groups user_groups x".split(
        " ",
      ),
    ),
    action: fc.constantFrom("added", "removed"),
    columns: holding(names.osquery),
  }),
  falco: fc.record({
    time: fc.constant("2024-10-30T09:48:02.285310579Z"),
    rule: fc.constantFrom("Read sensitive file", ""),
    priority: fc.constantFrom("Warning", "other"),
    output_fields: holding(names.falco),
  }),
  tetragon: fc
    .record({
      kind: fc.constantFrom(
        ..."process_exec process_exit process_kprobe process_lsm process_tracepoint process_loader process_connect process_close".split(
          " ",
        ),
      ),
      hook: fc.constantFrom("do_init_module", "__x64_sys_delete_module", "__x64_sys_bpf", "bpf_check", "tcp_connect"),
      body: holding(names.tetragon),
      process: holding(names.tetragon),
      parent: fc.option(holding(names.tetragon)),
    })
    .map(({ kind, hook, body, process, parent }) => ({
      [kind]: { function_name: hook, ...body, process, parent },
      node_name: "node-1",
      time: "2022-10-18T03:16:22.225264791Z",
    })),
};

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
  test(`FMT-1 whatever a record holds, it gives a valid event with its original and all its values, or a reason: ${format}`, async () => {
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

const auditTypes = "SYSCALL EXECVE PATH CWD SOCKADDR PROCTITLE AVC USER_LOGIN USER_CMD USER_AUTH ANOM_ABEND LOGIN EOE"
  .split(" ")
  .concat("ADD_USER USER_MGMT USER_CHAUTHTOK ADD_GROUP GRP_MGMT ACCT_LOCK KERN_MODULE BPF DAEMON_END CONFIG_CHANGE".split(" "));
const auditNames =
  "pid ppid uid auid ses tty exe comm success exit a0 a1 item name nametype mode cwd proctitle acct id addr hostname res cmd UID AUID ID grp op old audit_enabled prog-id".split(
    " ",
  );

/** Values that say something to a mapping, among any others; hexadecimal ones have a test of their own. */
const auditValue = fc.oneof(
  fc.constantFrom(
    "0",
    "-1",
    "4294967295",
    "1000",
    '"/bin/ls"',
    '"x y"',
    "no",
    "yes",
    "failed",
    "DELETE",
    "CREATE",
    "0100644",
    "192.0.2.1",
    "?",
    "(null)",
  ),
  fc.constantFrom("-115", "unset", "LOAD", "add-user-to-group", "adding user to group"),
  fc.integer().map(String),
);

test("FMT-1 auditd: whatever an event's records hold, they give a valid event with its original and all their values", async () => {
  const field = fc.tuple(fc.constantFrom(...auditNames), auditValue).map(([name, value]) => `${name}=${value}`);
  const call = fc
    .constantFrom(2, 42, 43, 49, 59, 82, 87, 231, 257, 105, 175, 176, 313, 321, 1)
    .map((number) => `arch=c000003e syscall=${number}`);
  const record = fc.record({
    type: fc.constantFrom(...auditTypes),
    call,
    fields: fc.array(field, { maxLength: 10 }),
    nested: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 5 }), async (records) => {
      const lines = records.map(({ type, call: opening, fields, nested }) => {
        if (type === "SOCKADDR") return "type=SOCKADDR msg=audit(1490137971.011:7): saddr=02000050C00002010000000000000000";
        const body = type.startsWith("USER_") && nested ? `pid=1 msg='${fields.join(" ")}'` : fields.join(" ");
        return `type=${type} msg=audit(1490137971.011:7): ${type === "SYSCALL" ? `${opening} ` : ""}${body}`;
      });
      const item = await itemOf(Buffer.from(lines.join("\n")), "auditd");
      assert.ok(item?.kind === "event", JSON.stringify(item));
      assert.equal(validateLine(item.line), null);
      const event = JSON.parse(item.line.toString()) as Record<string, unknown>;
      const original = originalOf(event) ?? Buffer.alloc(0);
      assert.ok(lines.join("\n").includes(original.toString()));
      assert.deepEqual(lostLeaves(valuesOf(original, "auditd"), event), []);
    }),
    { numRuns: 1500 },
  );
});
