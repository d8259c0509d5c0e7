// Why: most of what an endpoint says is Windows events, in many coats; each kind must land in its class with its columns filled.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventDataFromXml } from "../src/mapping/windows/record.ts";
import { type Event, eventOf } from "./helpers.ts";

const uid = (event: Event): string => `${event["class_uid"]}/${event["activity_id"]}`;
const sysmon = (EventID: number, data: object): object => ({
  EventID,
  Channel: "Microsoft-Windows-Sysmon/Operational",
  SourceName: "Microsoft-Windows-Sysmon",
  Hostname: "WS-7.example",
  UtcTime: "2021-06-12 01:07:15.633",
  Keywords: "0x8000000000000000",
  ...data,
});
const security = (EventID: number, data: object): object => ({
  EventID,
  Channel: "Security",
  SourceName: "Microsoft-Windows-Security-Auditing",
  Hostname: "WS-7",
  TimeCreated: "2021-06-12T01:07:15.633Z",
  Level: "0",
  ...data,
});
const process = { ProcessGuid: "{1}", ProcessId: "77", Image: "C:\\Windows\\x.exe", User: "WS-7\\ann" };
const subject = { SubjectUserName: "ann", SubjectDomainName: "WS-7", SubjectUserSid: "S-1-5-21", SubjectLogonId: "0x1f" };

test("Sysmon 1 and 5: processes with parent, hashes, user, command line", async () => {
  const { event, row } = await eventOf(
    sysmon(1, {
      ...process,
      CommandLine: "x.exe -a",
      IntegrityLevel: "High",
      LogonId: "0x3719fb",
      Company: "M",
      Hashes: `SHA1=${"AA".repeat(20)},MD5=${"BB".repeat(16)},SHA256=${"CC".repeat(32)},IMPHASH=${"DD".repeat(16)}`,
      ParentProcessId: "5",
      ParentImage: "C:\\p.exe",
      ParentCommandLine: "p.exe",
      Message: "Process Create:\r\nRuleName: -",
      RuleName: "-",
    }),
  );
  assert.deepEqual(
    [uid(event), row.host, row.userName, row.processName, row.processPid, row.filePath, row.fileSha256?.toString("hex"), row.message],
    ["1007/1", "WS-7.example", "ann", "x.exe", 77, "C:\\Windows\\x.exe", "cc".repeat(32), "x.exe -a"],
  );
  assert.deepEqual(
    [
      event["actor"].process.name,
      event["process"].parent_process.cmd_line,
      event["process"].user.domain,
      event["process"].integrity_id,
      event["process"].file.hashes.length,
    ],
    ["p.exe", "p.exe", "WS-7", 4, 4],
  );
  assert.equal(row.eventTimeUs, Date.UTC(2021, 5, 12, 1, 7, 15, 633) * 1000);
  assert.equal(uid((await eventOf(sysmon(5, process))).event), "1007/2");
});

test("Sysmon 8, 10 and 25: one process reaches into another", async () => {
  const two = {
    SourceProcessGUID: "{1}",
    SourceProcessId: "4",
    SourceImage: "C:\\a.exe",
    TargetProcessGUID: "{2}",
    TargetProcessId: "9",
    TargetImage: "C:\\lsass.exe",
    GrantedAccess: "0x1410",
  };
  const access = await eventOf(sysmon(10, two));
  assert.deepEqual(
    [uid(access.event), access.row.processName, access.event["actor"].process.pid, access.event["requested_permissions"]],
    ["1007/3", "lsass.exe", 4, 0x1410],
  );
  const thread = await eventOf(sysmon(8, { ...two, SourceProcessGuid: "{1}", SourceProcessGUID: undefined }));
  assert.deepEqual([uid(thread.event), thread.event["injection_type_id"]], ["1007/4", 1]);
  assert.equal(uid((await eventOf(sysmon(25, { ...process, Type: "Image is replaced" }))).event), "1007/4");
});

test("Sysmon files, pipes, devices and modules", async () => {
  for (const [id, expected] of [
    [11, "1001/1"],
    [15, "1001/1"],
    [2, "1001/6"],
    [23, "1001/4"],
    [26, "1001/4"],
    [29, "1001/1"],
  ] as const) {
    const { event, row } = await eventOf(sysmon(id, { ...process, TargetFilename: "C:\\a.locked", Hashes: `SHA256=${"CC".repeat(32)}` }));
    assert.deepEqual([uid(event), row.filePath, row.fileSha256?.length, row.processName], [expected, "C:\\a.locked", 32, "x.exe"]);
  }
  const pipe = await eventOf(sysmon(17, { ...process, PipeName: "\\msagent" }));
  assert.deepEqual([uid(pipe.event), pipe.event["file"].type_id], ["1001/1", 6]);
  assert.equal(uid((await eventOf(sysmon(18, { ...process, PipeName: "\\msagent" }))).event), "1001/14");
  assert.equal(uid((await eventOf(sysmon(9, { ...process, Device: "\\Device\\HarddiskVolume2" }))).event), "1001/2");
  const module = await eventOf(
    sysmon(7, { ...process, ImageLoaded: "C:\\x.dll", Hashes: "junk", Signature: "M", SignatureStatus: "Valid" }),
  );
  assert.deepEqual([uid(module.event), module.row.filePath, module.event["unmapped"].Hashes], ["1005/1", "C:\\x.dll", "junk"]);
});

test("Sysmon registry: keys and values, also where the forwarder has overwritten EventType", async () => {
  const target = { ...process, TargetObject: "HKLM\\Software\\Run\\evil" };
  const set = await eventOf(sysmon(13, { ...target, EventType: "SetValue", Details: "DWORD (0x1)" }));
  assert.deepEqual(
    [uid(set.event), set.event["reg_value"], set.row.message],
    ["201002/2", { path: "HKLM\\Software\\Run", name: "evil", data: "DWORD (0x1)" }, "HKLM\\Software\\Run\\evil"],
  );
  assert.equal(uid((await eventOf(sysmon(12, { ...target, EventType: "CreateKey" }))).event), "201001/1");
  assert.equal(uid((await eventOf(sysmon(12, { ...target, EventType: "DeleteValue" }))).event), "201002/4");
  assert.equal(
    uid((await eventOf(sysmon(12, { ...target, EventType: "INFO", Message: "x\r\nEventType: DeleteKey\r\n" }))).event),
    "201001/4",
  );
  assert.equal(uid((await eventOf(sysmon(12, { ...target, EventType: "INFO" }))).event), "201001/0");
  const rename = await eventOf(sysmon(14, { ...target, EventType: "RenameKey", NewName: "HKLM\\New" }));
  assert.deepEqual(
    [uid(rename.event), rename.event["reg_key"].path, rename.event["prev_reg_key"].path],
    ["201001/5", "HKLM\\New", "HKLM\\Software\\Run\\evil"],
  );
});

test("Sysmon network and DNS", async () => {
  const net = await eventOf(
    sysmon(3, {
      ...process,
      Protocol: "tcp",
      Initiated: "true",
      SourceIp: "::ffff:192.0.2.1",
      SourcePort: "5",
      SourceHostname: "-",
      DestinationIp: "192.0.2.9",
      DestinationPort: "445",
      DestinationHostname: "DC.example",
    }),
  );
  assert.deepEqual(
    [uid(net.event), net.row.srcIp, net.row.dstPort, net.row.domain, net.row.processName, net.event["connection_info"].direction_id],
    ["4001/1", "192.0.2.1", 445, "dc.example", "x.exe", 2],
  );
  const dns = await eventOf(
    sysmon(22, { ...process, QueryName: "C2.example", QueryStatus: "0", QueryResults: "type:  5 a.example;::ffff:192.0.2.1;" }),
  );
  assert.deepEqual(
    [uid(dns.event), dns.row.domain, dns.event["answers"]],
    ["4003/2", "c2.example", [{ rdata: "a.example", type: "5" }, { rdata: "::ffff:192.0.2.1" }]],
  );
});

test("Security processes and logons", async () => {
  const start = await eventOf(
    security(4688, {
      ...subject,
      NewProcessId: "0x4d",
      NewProcessName: "C:\\x.exe",
      CommandLine: "x -a",
      ProcessId: "0x5",
      ParentProcessName: "C:\\p.exe",
      TargetUserName: "-",
      TargetUserSid: "S-1-0-0",
    }),
  );
  assert.deepEqual(
    [uid(start.event), start.row.processPid, start.row.message, start.event["actor"].process.pid, start.event["actor"].user.name],
    ["1007/1", 77, "x -a", 5, "ann"],
  );
  const end = await eventOf(security(4689, { ...subject, ProcessId: "0x4d", ProcessName: "C:\\x.exe", Status: "0x0" }));
  assert.deepEqual([uid(end.event), end.event["exit_code"]], ["1007/2", 0]);
  const target = {
    TargetUserName: "bob",
    TargetDomainName: "D",
    TargetUserSid: "S-1-5-9",
    TargetLogonId: "0x2",
    LogonType: "3",
    IpAddress: "::ffff:192.0.2.4",
    IpPort: "50000",
    AuthenticationPackageName: "NTLM",
    WorkstationName: "EVIL",
  };
  const logon = await eventOf(security(4624, { ...subject, ...target }));
  assert.deepEqual(
    [
      uid(logon.event),
      logon.row.userName,
      logon.row.srcIp,
      logon.row.srcPort,
      logon.event["status_id"],
      logon.event["is_remote"],
      logon.event["auth_protocol_id"],
    ],
    ["3002/1", "bob", "192.0.2.4", 50_000, 1, true, 1],
  );
  const failed = await eventOf(security(4625, { ...target, IpAddress: "-", Status: "0xc000006d", SubStatus: "0xc0000064" }));
  assert.deepEqual(
    [failed.event["status_id"], failed.event["status_code"], failed.row.srcIp, failed.event["src_endpoint"].hostname],
    [2, "0xc000006d", null, "evil"],
  );
  for (const id of [4634, 4647]) assert.equal(uid((await eventOf(security(id, target))).event), "3002/2");
  assert.equal((await eventOf(security(4648, { ...subject, ...target, TargetServerName: "DC-1" }))).event["dst_endpoint"].hostname, "dc-1");
  const ticket = await eventOf(security(4769, { ...target, ServiceName: "cifs", Status: "0x20" }));
  assert.deepEqual([uid(ticket.event), ticket.event["status_id"], ticket.event["service"].name], ["3002/4", 2, "cifs"]);
});

test("Security objects, tasks, shares and connections", async () => {
  const object = { ...subject, ProcessId: "0x4d", ProcessName: "C:\\x.exe", ObjectName: "C:\\secret.docx" };
  for (const [mask, activity] of [
    ["0x1", 2],
    ["0x2", 3],
    ["0x10000", 4],
    ["0x10001", 4],
    ["0x40000", 7],
    ["0x20000", 9],
    ["0x80", 14],
  ] as const) {
    const { event, row } = await eventOf(security(4663, { ...object, ObjectType: "File", AccessMask: mask }));
    assert.deepEqual([uid(event), row.filePath, row.processPid], [`1001/${activity}`, "C:\\secret.docx", 77]);
  }
  assert.equal(uid((await eventOf(security(4656, { ...object, ObjectType: "File", AccessMask: "0x2" }))).event), "1001/14");
  assert.equal(uid((await eventOf(security(4663, { ...object, ObjectType: "Key", AccessMask: "0x2" }))).event), "201001/3");
  assert.equal(uid((await eventOf(security(4656, { ...object, ObjectType: "Process", AccessMask: "0x10" }))).event), "1007/3");
  assert.equal(uid((await eventOf(security(4656, { ...object, ObjectType: "SAM_USER" }))).event), "0/99");
  assert.equal(uid((await eventOf(security(4670, { ...object, ObjectType: "File" }))).event), "1001/7");
  const value = await eventOf(
    security(4657, {
      ...object,
      ObjectName: "\\REGISTRY\\X",
      ObjectValueName: "Run",
      OperationType: "%%1905",
      OldValue: "a",
      NewValue: "b",
    }),
  );
  assert.deepEqual([uid(value.event), value.event["reg_value"].data, value.event["prev_reg_value"].data], ["201002/3", "b", "a"]);
  for (const [id, activity] of [
    [4698, 1],
    [4699, 3],
    [4700, 4],
    [4701, 5],
    [4702, 2],
  ] as const) {
    const { event, row } = await eventOf(security(id, { ...subject, TaskName: "\\Evil", TaskContent: "<Task/>" }));
    assert.deepEqual([uid(event), row.message, event["unmapped"].TaskContent], [`1006/${activity}`, "\\Evil", "<Task/>"]);
  }
  const share = await eventOf(
    security(5145, { ...subject, ShareName: "\\\\*\\C$", RelativeTargetName: "Windows\\x.exe", IpAddress: "192.0.2.4", IpPort: "1" }),
  );
  assert.deepEqual(
    [uid(share.event), share.row.srcIp, share.row.filePath, share.row.userName],
    ["4006/2", "192.0.2.4", "Windows\\x.exe", "ann"],
  );
  assert.equal(uid((await eventOf(security(5140, { ...subject, ShareName: "\\\\*\\IPC$" }))).event), "4006/99");
  const wfp = {
    Application: "\\device\\x.exe",
    ProcessID: "77",
    Direction: "%%14592",
    SourceAddress: "192.0.2.1",
    SourcePort: "1",
    DestAddress: "fe80::1%3",
    DestPort: "2",
    Protocol: "17",
  };
  const open = await eventOf(security(5156, wfp));
  assert.deepEqual(
    [
      uid(open.event),
      open.row.dstIp,
      open.row.processPid,
      open.event["connection_info"].protocol_name,
      open.event["connection_info"].direction_id,
    ],
    ["4001/1", "fe80::1", 77, "udp", 1],
  );
  assert.equal(uid((await eventOf(security(5157, wfp))).event), "4001/5");
  assert.equal((await eventOf(security(5158, { ...wfp, DestAddress: undefined }))).event["activity_name"], "bind");
});

test("events without a class of their own are base events that keep everything", async () => {
  const { event, row } = await eventOf({
    EventID: 4104,
    Channel: "Microsoft-Windows-PowerShell/Operational",
    SourceName: "PowerShell",
    Hostname: "WS-7",
    TimeCreated: "2021-06-12T01:07:15Z",
    Level: 3,
    Message: "Creating Scriptblock\r\ntext",
    ScriptBlockText: "iex",
  });
  assert.deepEqual(
    [uid(event), event["activity_name"], event["severity_id"], row.host, row.message, event["unmapped"]],
    ["0/99", "event 4104", 3, "WS-7", "Creating Scriptblock", { Level: 3, ScriptBlockText: "iex", TimeCreated: "2021-06-12T01:07:15Z" }],
  );
});

test("an event that lacks what its class requires becomes a base event with what was mapped", async () => {
  const { event } = await eventOf(sysmon(11, { TargetFilename: "C:\\x" }));
  assert.deepEqual([uid(event), event["unmapped"].mapped.file.path], ["0/99", "C:\\x"]);
});

test("coats: winlogbeat, evtx_dump, Azure Monitor with XML inside, NXLog", async () => {
  const data = { NewProcessId: "0x4d", NewProcessName: "C:\\x.exe", ProcessId: "0x5", SubjectUserName: "ann" };
  const beat = await eventOf({
    "@timestamp": "2021-06-12T01:07:15.633Z",
    host: { name: "WS-7" },
    winlog: { event_id: 4688, channel: "Security", provider_name: "P", computer_name: "WS-7", event_data: data, record_id: 12 },
  });
  const evtx = await eventOf({
    Event: {
      "#attributes": { xmlns: "x" },
      System: {
        Provider: { "#attributes": { Name: "P" } },
        EventID: { "#text": 4688, "#attributes": { Qualifiers: "" } },
        Channel: "Security",
        Computer: "WS-7",
        TimeCreated: { "#attributes": { SystemTime: "2021-06-12T01:07:15.633Z" } },
      },
      EventData: data,
    },
  });
  const xml = `<EventData xmlns="http://x">\r\n${Object.entries({ ...data, CommandLine: 'x "&lt;&#x41;&amp;' })
    .map(([name, value]) => `<Data Name="${name}">${value.replaceAll('"', "&quot;")}</Data>`)
    .join("\r\n")}<Data Name="Empty" /></EventData>`;
  const azure = await eventOf({
    EventID: 4688,
    Channel: "Security",
    EventSourceName: "P",
    Computer: "WS-7",
    TimeGenerated: "2021-06-12T01:07:15.633Z",
    EventData: xml,
  });
  for (const { event, row } of [beat, evtx, azure]) {
    assert.deepEqual(
      [uid(event), row.processPid, row.host, row.userName, event["time"], event["metadata"].log_provider],
      ["1007/1", 77, "WS-7", "ann", Date.UTC(2021, 5, 12, 1, 7, 15, 633), "P"],
    );
  }
  assert.deepEqual([azure.event["process"].cmd_line, azure.event["unmapped"].EventData], ['x "<A&', { Empty: "" }]);
});

test("times: UtcTime before all others, local NXLog times by the collector's own zone", async () => {
  const nxlog = {
    EventID: 4634,
    Channel: "Security",
    SourceName: "S",
    Hostname: "WS-7",
    TargetUserName: "ann",
    EventTime: "2020-09-22 14:53:01",
    EventReceivedTime: "2020-09-22 14:53:04",
    "@timestamp": "2020-09-22T18:53:04.182Z",
    SeverityValue: 2,
  };
  const local = await eventOf(nxlog);
  assert.deepEqual([local.event["time"], local.event["metadata"].original_time], [Date.UTC(2020, 8, 22, 18, 53, 1), "2020-09-22 14:53:01"]);
  assert.equal((await eventOf({ ...nxlog, EventTime: "2020-09-22T14:53:01+02:00" })).event["time"], Date.UTC(2020, 8, 22, 12, 53, 1));
  assert.equal((await eventOf({ ...nxlog, EventReceivedTime: undefined })).event["time"], Date.UTC(2020, 8, 22, 14, 53, 1));
  const wrong = await eventOf(sysmon(5, { ...process, "@timestamp": "2021-06-11T09:07:15.635Z", TimeCreated: "2021-06-11T09:07:15.635Z" }));
  assert.equal(wrong.event["time"], Date.UTC(2021, 5, 12, 1, 7, 15, 633));
});

test("XML inside JSON: a field that comes twice is a list, whatever it is called, and what stands for no character stays as it is written", () => {
  const xml =
    '<EventData><Data Name="a">1</Data><Data Name="a">2 &amp;&#x41;</Data><Data Name="__proto__">x</Data><Data Name="b">&no;&#0;</Data></EventData>';
  assert.deepEqual(Object.entries(eventDataFromXml(xml) ?? {}), [
    ["a", ["1", "2 &A"]],
    ["__proto__", "x"],
    ["b", "&no;&#0;"],
  ]);
});
