// Why: ETW comes in several coats and 64-bit numbers; the same event must come out of each.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Event, eventOf, sorted } from "./helpers.ts";

const kernelProcess = "22fb2cd6-0e7b-422b-a0c7-2fad1fd0e716";
const uid = (event: Event): string => `${event["class_uid"]}/${event["activity_id"]}`;
const own = (more: object, properties: object = {}): object => ({
  provider_guid: `{${kernelProcess.toUpperCase()}}`,
  event_id: 1,
  event_version: 3,
  opcode: 1,
  task: 1,
  level: 4,
  keywords: "0x8000000000000010",
  timestamp: "2024-05-01T10:00:00.1234567Z",
  process_id: 700,
  thread_id: 701,
  computer: "ws-1",
  properties,
  ...more,
});
const started = { ProcessID: 4711, ParentProcessID: 700, ImageName: "\\Device\\HarddiskVolume3\\Windows\\System32\\cmd.exe", SessionID: 1 };

test("one process start in three coats is one event", async () => {
  const silk = {
    ProviderGuid: kernelProcess,
    YaraMatch: [],
    ProviderName: "Microsoft-Windows-Kernel-Process",
    EventName: "ProcessStart/Start",
    Opcode: 1,
    OpcodeName: "Start",
    TimeStamp: "2024-05-01T10:00:00.1234567+00:00",
    ThreadID: 701,
    ProcessID: 700,
    ProcessName: "explorer",
    PointerSize: 8,
    EventDataLength: 76,
    XmlEventData: { ...started, ProcessID: "4,711", ParentProcessID: "700", FormattedMessage: "Process 4,711 started", PID: "700" },
  };
  const krabs = {
    header: {
      activity_id: "{00000000-0000-0000-0000-000000000000}",
      event_flags: 576,
      event_id: 1,
      event_opcode: 1,
      event_version: 3,
      process_id: 700,
      thread_id: 701,
      provider_name: "Microsoft-Windows-Kernel-Process",
      task_name: "ProcessStart",
      timestamp: "2024-05-01 10:00:00.1234567Z",
      trace_name: "t",
    },
    properties: started,
  };
  for (const record of [silk, krabs, own({}, started)]) {
    const { event, row } = await eventOf(record);
    assert.deepEqual(
      [uid(event), row.processPid, row.processName, row.eventTimeUs, event["actor"].process.pid, event["process"].parent_process.pid],
      ["1007/1", 4711, "cmd.exe", 1_714_557_600_123_456, 700, 700],
    );
    assert.equal(event["metadata"].log_format, "windows_etw_json");
  }
  assert.equal((await eventOf(silk)).event["message"], "Process 4,711 started");
  assert.equal((await eventOf(own({}, started))).row.host, "ws-1");
  const hostless = await eventOf(krabs);
  assert.deepEqual([hostless.row.host, hostless.event["device"]], [null, { uid: "unknown", type_id: 0 }]);
});

test("FMT-2 64-bit keywords: hexadecimal, unsigned and signed decimal of one mask are told as one", async () => {
  for (const written of ['"0x8000000000000001"', "-9223372036854775807", "9223372036854775809", '"9223372036854775809"']) {
    const { events } = await sorted(`${JSON.stringify(own({ keywords: "K" })).replace('"K"', written)}\n`);
    assert.equal(events[0]?.["unmapped"].keywords_mask, "0x8000000000000001");
    assert.equal(events[0]?.["unmapped"].keywords, written.replaceAll('"', ""));
  }
  assert.equal((await eventOf(own({ keywords: 0 }))).event["unmapped"].keywords_mask, "0x0000000000000000");
  const lowest = await sorted(`${JSON.stringify(own({ keywords: "K" })).replace('"K"', "-9223372036854775808")}\n`);
  assert.equal(lowest.events[0]?.["unmapped"].keywords_mask, "0x8000000000000000");
  for (const none of ["99999999999999999999", "WINEVENT_KEYWORD_PROCESS", 1.5])
    assert.equal((await eventOf(own({ keywords: none }))).event["unmapped"].keywords_mask, undefined);
});

test("FMT-2 a FILETIME is a time, exact to the microsecond; a record without time is invalid", async () => {
  const { events } = await sorted(`${JSON.stringify(own({ timestamp: "T" })).replace('"T"', "133590312001234567")}\n`);
  assert.deepEqual([events[0]?.["time_dt"], events[0]?.["metadata"].original_time], ["2024-05-01T10:00:00.123456Z", "133590312001234567"]);
  const { invalid } = await sorted(`${JSON.stringify(own({ timestamp: 12 }))}\n`);
  assert.equal(invalid[0]?.code, "SHIP_TIME_MISSING");
});

test("images, files and ends of processes", async () => {
  const ended = await eventOf(own({ event_id: 2 }, { ProcessID: 4711, ImageName: "cmd.exe", ExitCode: 1 }));
  assert.deepEqual([uid(ended.event), ended.event["exit_code"], ended.row.processPid], ["1007/2", 1, 4711]);
  const image = await eventOf(own({ event_id: 5 }, { ProcessID: 4711, ImageName: "C:\\x.dll", ImageBase: "0x7FFEB8B10000" }));
  assert.deepEqual(
    [uid(image.event), image.row.filePath, image.row.processPid, image.event["unmapped"].process_id],
    ["1005/1", "C:\\x.dll", 4711, 700],
  );
  const file = { provider_guid: "edd08927-9cc4-4e65-b970-c2560fb5c289" };
  for (const [event_id, expected] of [
    [12, "1001/14"],
    [30, "1001/1"],
    [26, "1001/4"],
    [27, "1001/5"],
  ] as const)
    assert.equal(uid((await eventOf(own({ ...file, event_id }, { FilePath: "\\Device\\x" }))).event), expected);
  const byHandle = await eventOf(own({ ...file, event_id: 16 }, { FileKey: "0x1" }));
  assert.deepEqual(
    [uid(byHandle.event), byHandle.row.processPid, byHandle.event["unmapped"].properties],
    ["0/99", 700, { FileKey: "0x1" }],
  );
});

test("Kernel-Network and TCPIP: who began is the source; addresses as text or as an integer", async () => {
  const network = { provider_guid: undefined, provider_name: "Microsoft-Windows-Kernel-Network" };
  const ends = { PID: "4,711", saddr: "192.0.2.1", sport: 50_000, daddr: "192.0.2.2", dport: 443, size: 10 };
  const out = await eventOf(own({ ...network, event_id: 12 }, ends));
  assert.deepEqual(
    [uid(out.event), out.row.srcIp, out.row.dstPort, out.row.processPid, out.event["connection_info"].direction_id],
    ["4001/1", "192.0.2.1", 443, 4711, 2],
  );
  const incoming = await eventOf(own({ ...network, event_id: 15 }, ends));
  assert.deepEqual([incoming.row.srcIp, incoming.row.dstIp, incoming.event["connection_info"].direction_id], ["192.0.2.2", "192.0.2.1", 1]);
  const six = await eventOf(own({ ...network, event_id: 28 }, { ...ends, saddr: "2001:db8::1", daddr: "2001:db8::2" }));
  assert.deepEqual([uid(six.event), six.row.dstIp], ["4001/1", "2001:db8::2"]);
  const raw = await eventOf(own({ ...network, event_id: 42 }, { ...ends, daddr: 16_777_343 }));
  assert.deepEqual([uid(raw.event), raw.row.dstIp, raw.event["connection_info"].protocol_name], ["4001/6", "127.0.0.1", "udp"]);
  const byOpcode = await eventOf(
    own({ ...network, event_id: undefined, event_name: "KERNEL_NETWORK_TASK_TCPIP/Disconnectissued.", opcode: 13 }, ends),
  );
  assert.equal(uid(byOpcode.event), "4001/2");
  const tcpip = { provider_guid: "{2F07E2EE-15DB-40F1-90EF-9D7BA282188A}", event_id: 1033 };
  const connected = await eventOf(own(tcpip, { LocalAddress: "[2001:db8::1]:5", RemoteAddress: "192.0.2.2:443" }));
  assert.deepEqual([uid(connected.event), connected.row.srcIp, connected.row.dstPort], ["4001/1", "2001:db8::1", 443]);
  assert.equal(uid((await eventOf(own(tcpip, { LocalAddress: "0x0200", RemoteAddress: "0x0200" }))).event), "0/99");
});

test("DNS-Client: queries and what came back", async () => {
  const dns = { provider_guid: "1c95126e-7eea-49a9-a3fe-a378b03ddb4d" };
  const answered = await eventOf(
    own(
      { ...dns, event_id: 3008 },
      { QueryName: "A.Example.", QueryType: 28, QueryStatus: 0, QueryResults: "type:  5 b.example;2001:db8::1;" },
    ),
  );
  assert.deepEqual(
    [uid(answered.event), answered.row.domain, answered.event["query"].type, answered.event["answers"], answered.event["rcode_id"]],
    ["4003/2", "a.example", "AAAA", [{ rdata: "b.example", type: "5" }, { rdata: "2001:db8::1" }], 0],
  );
  const silk = {
    ProviderGuid: dns.provider_guid,
    ProviderName: "Microsoft-Windows-DNS-Client",
    EventName: "EventID(3006)",
    Opcode: 0,
    TimeStamp: "2024-05-01T10:00:00Z",
    ProcessID: 9,
    XmlEventData: { QueryName: "a.example" },
  };
  assert.equal(uid((await eventOf(silk)).event), "4003/1");
});

test("Threat-Intelligence: memory by caller and target; threads have no class here", async () => {
  const provider = { provider_guid: "{F4E1897C-BB5D-5668-F1D8-040F4D8DD344}", process_id: 4 };
  const properties = {
    CallingProcessId: 700,
    CallingThreadId: 701,
    TargetProcessId: 4711,
    BaseAddress: "0x7FF000",
    ProtectionMask: "0x40",
  };
  for (const [ids, activity, size] of [
    [[1, 6, 21, 26], 1, { RegionSize: "0x1000" }],
    [[2, 7, 22, 27], 2, { RegionSize: 4096 }],
    [[3, 8, 23, 28], 9, { ViewSize: "4,096" }],
    [[11, 13], 7, { BytesCopied: 4096 }],
    [[12, 14], 8, { BytesCopied: 4096 }],
  ] as const) {
    for (const event_id of ids) {
      const { event } = await eventOf(own({ ...provider, event_id }, { ...properties, ...size }));
      assert.deepEqual(
        [
          event_id,
          uid(event),
          event["process"],
          event["actor"].process,
          event["base_address"],
          event["size"],
          event["requested_permissions"],
        ],
        [event_id, `1004/${activity}`, { pid: 4711 }, { pid: 700, tid: 701 }, "0x7FF000", 4096, 0x40],
      );
    }
  }
  assert.equal(uid((await eventOf(own({ ...provider, event_id: 4 }, properties))).event), "0/99");
  assert.equal(uid((await eventOf(own({ ...provider, event_id: 1 }, { BaseAddress: "0x1" }))).event), "0/99");
});

test("other providers are base events that keep provider, event, level and activity", async () => {
  const { event } = await eventOf(
    own(
      {
        provider_guid: undefined,
        provider_name: "Contoso-App",
        event_id: 7,
        level: 2,
        activity_id: "{11111111-0000-0000-0000-000000000000}",
      },
      { a: 1 },
    ),
  );
  assert.deepEqual(
    [
      uid(event),
      event["activity_name"],
      event["severity_id"],
      event["metadata"].log_provider,
      event["metadata"].event_code,
      event["metadata"].log_version,
    ],
    ["0/99", "event 7", 4, "Contoso-App", "7", "3"],
  );
  assert.deepEqual([event["metadata"].correlation_uid, event["unmapped"].properties], ["{11111111-0000-0000-0000-000000000000}", { a: 1 }]);
});
