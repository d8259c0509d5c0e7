// Why: Sysmon for Linux writes XML, and it comes alone, in syslog, and in rows of JSON, at times cut off.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { originalOf } from "../src/lib.ts";
import { readEventXml } from "../src/mapping/windows/event_xml.ts";
import { readXml } from "../src/mapping/windows/xml.ts";
import { type Event, sorted } from "./helpers.ts";

function xml(id: number, data: Readonly<Record<string, string>>): string {
  const fields = Object.entries(data).map(([name, value]) => `<Data Name="${name}">${value}</Data>`);
  return (
    '<Event><System><Provider Name="Linux-Sysmon" Guid="{ff032593-a8d3-4f13-b0d6-01fc615a0f97}"/>' +
    `<EventID>${id}</EventID><Version>5</Version><Level>4</Level><Keywords>0x8000000000000000</Keywords><TimeCreated SystemTime="2026-01-05T10:00:00.399931000Z"/>` +
    '<EventRecordID>7</EventRecordID><Correlation/><Execution ProcessID="1590" ThreadID="1591"/><Channel>Linux-Sysmon/Operational</Channel><Computer>web1</Computer>' +
    `<Security UserId="0"/></System><EventData>${fields.join("")}</EventData></Event>`
  );
}

const launch = xml(1, {
  RuleName: "-",
  UtcTime: "2026-01-05 10:00:00.395",
  ProcessGuid: "{94325212-fc0d-627b-4874-61f901560000}",
  ProcessId: "17790",
  Image: "/bin/bash",
  CommandLine: "bash -c &quot;a &amp;&amp; b&quot; &#x3E;/dev/null",
  CurrentDirectory: "/",
  User: "tomcat",
  IntegrityLevel: "no level",
  Hashes: "-",
  ParentProcessId: "1340",
  ParentImage: "/usr/bin/java",
});

async function eventOf(line: string): Promise<{ event: Event; format: string }> {
  const { events, invalid } = await sorted(`${line}\n`, {
    clock: { nowUs: () => Date.UTC(2026, 0, 6) * 1000, monotonicMs: () => 0 },
  });
  assert.deepEqual([events.length, invalid.map(({ message }) => message)], [1, []]);
  const event = events[0] as Event;
  assert.equal(originalOf(event)?.toString(), line);
  return { event, format: event["metadata"]["log_format"] as string };
}

function assertLaunch(event: Event): void {
  assert.deepEqual([event["class_uid"], event["activity_id"], event["time"]], [1007, 1, Date.UTC(2026, 0, 5, 10) + 395]);
  assert.deepEqual(
    [event["device"]["hostname"], event["metadata"]["event_code"], event["metadata"]["product"]["name"]],
    ["web1", "1", "Sysmon"],
  );
  assert.deepEqual(
    [event["process"]["cmd_line"], event["process"]["pid"], event["process"]["user"], event["process"]["parent_process"]["pid"]],
    ['bash -c "a && b" >/dev/null', 17790, { name: "tomcat" }, 1340],
  );
}

test("alone, one event a line", async () => {
  const { event, format } = await eventOf(launch);
  assert.equal(format, "sysmon_linux_xml");
  assertLaunch(event);
  const { System, EventData } = event["unmapped"]["Event"];
  assert.deepEqual(
    [System["Execution"], System["Security"], EventData["Hashes"]],
    [{ "#attributes": { ProcessID: "1590", ThreadID: "1591" } }, { "#attributes": { UserId: "0" } }, "-"],
  );
});

test("in syslog, with the time and host of the event itself", async () => {
  for (const line of [`Jan  5 11:00:07 relay sysmon: ${launch}`, `<14>1 2026-01-05T11:00:07Z relay sysmon 1590 - - ${launch}`]) {
    const { event, format } = await eventOf(line);
    assert.equal(format, "syslog");
    assertLaunch(event);
    assert.deepEqual([event["unmapped"]["syslog"]["host"], event["unmapped"]["syslog"]["app"]], ["relay", "sysmon"]);
  }
});

const row = (message: string, more: object = {}): string =>
  JSON.stringify({
    ...{ TenantId: "t", TimeGenerated: "2026-01-05T10:00:01.5Z", Computer: "web1", EventTime: "2026-01-05T10:00:01Z", Facility: "user" },
    ...{ HostName: "web1", SeverityLevel: "warning", SyslogMessage: message, ProcessName: "sysmon", Type: "Syslog", ...more },
  });

test("in rows of Azure Monitor, also cut off, also with references that are none", async () => {
  const whole = await eventOf(row(launch));
  assert.equal(whole.format, "azure_monitor_json");
  assertLaunch(whole.event);
  assert.equal(whole.event["unmapped"]["syslog"]["TenantId"], "t");
  const cut = await eventOf(row(launch.slice(0, launch.indexOf("/usr/bin/java") + 4)));
  assert.deepEqual(
    [cut.event["class_uid"], cut.event["process"]["pid"], cut.event["unmapped"]["cut"]],
    [1007, 17790, '<Data Name="ParentImage">/usr'],
  );
  const odd = await eventOf(row(xml(5, { UtcTime: "2026-01-05 10:00:00.395", ProcessId: "5", Image: "&lt unknown process&gt " })));
  assert.deepEqual([odd.event["class_uid"], odd.event["activity_id"], odd.event["process"]["name"]], [1007, 2, "&lt unknown process&gt "]);
});

test("other rows: any message, auoms' events, connections", async () => {
  const plain = await eventOf(row("something happened", { ProcessName: "app", ProcessID: 12 }));
  assert.deepEqual(
    [
      plain.event["class_uid"],
      plain.event["severity_id"],
      plain.event["message"],
      plain.event["actor"]["process"],
      plain.event["device"]["hostname"],
    ],
    [0, 3, "something happened", { name: "app", pid: 12 }, "web1"],
  );
  const body =
    'SchemaVersion="1" node=web1 syscall=execve success=yes exit=0 ppid=3 pid=4 uid=0 auid=-1 exe="/bin/ls" cwd="/" name="/bin/ls" nametype=NORMAL cmdline="ls -l x"';
  const auoms = await eventOf(row(`type=AUOMS_EXECVE audit(1652292621.986:84138): ${body}`, { EventData: body }));
  assert.deepEqual(
    [auoms.event["class_uid"], auoms.event["process"]["cmd_line"], auoms.event["process"]["working_directory"], auoms.event["time"]],
    [1007, "ls -l x", "/", 1_652_292_621_986],
  );
  assert.equal(auoms.event["unmapped"]["syslog"]["EventData"], undefined, "the same text twice");
  const connection = await eventOf(
    JSON.stringify({
      ...{ TimeGenerated: "2026-01-05T10:00:01Z", Computer: "web1", Direction: "outbound", ProcessName: "java", SourceIp: "192.0.2.5" },
      ...{ DestinationIp: "192.0.2.6", DestinationPort: 1389, Protocol: "tcp", BytesSent: 129, BytesReceived: 196, Type: "VMConnection" },
    }),
  );
  assert.deepEqual(
    [
      connection.event["class_uid"],
      connection.event["dst_endpoint"],
      connection.event["connection_info"]["direction_id"],
      connection.event["traffic"],
    ],
    [4001, { ip: "192.0.2.6", port: 1389 }, 2, { bytes_out: 129, bytes_in: 196 }],
  );
});

test("P-8 FMT-9 what is no event's XML is invalid: declarations, DTDs, comments, CDATA, unknown entities, wrong nesting, too deep", async () => {
  const inner = '<Provider Name="Linux-Sysmon"/>';
  const bad = [
    `<!DOCTYPE x [<!ENTITY a "b">]>${launch}`,
    `<Event><System>${inner}<!-- x --></System></Event>`,
    `<Event><System>${inner}<![CDATA[x]]></System></Event>`,
    `<Event><System>${inner}<A>&foo;</A></System></Event>`,
    `<Event><System>${inner}<A>&#0;&#xD800;</A></System></Event>`,
    `<Event><System>${inner}<A></B></System></Event>`,
    `<Event><System>${inner}${"<A>".repeat(20)}${"</A>".repeat(20)}</System></Event>`,
    `<Event><System>${inner}<A b="1" b="2"/></System></Event>`,
    `<Event><System>${inner}</System></Event><Event/>`,
    `<Event><EventData>${inner}</EventData></Event>`,
  ];
  const { events, invalid } = await sorted(`${bad.join("\n")}\n${launch}\n`, { format: "sysmon_linux_xml" });
  assert.equal(events.length, 1);
  assert.deepEqual(
    invalid.map(({ code, place }) => [code, place.line]),
    bad.map((_, i) => ["SHIP_RECORD_MALFORMED", i + 1]),
  );
});

test("FMT-9 wherever the text is cut, what was whole is read and the rest is kept", () => {
  for (let end = launch.indexOf("</System>") + 9; end < launch.length; end++) {
    const cut = launch.slice(0, end);
    const event = readEventXml(cut);
    assert.ok(event !== undefined, cut.slice(-30));
    const kept = String(event["cut"]);
    assert.ok(cut.endsWith(kept) && !kept.includes("</Data><Data"), kept);
    const whole = (cut.slice(0, cut.length - kept.length).match(/<Data /g) ?? []).length;
    const data = (event["Event"] as Record<string, object>)["EventData"] ?? {};
    assert.equal(Object.keys(data).length, whole, cut.slice(-60));
  }
});

test("any text is read or refused, without loss of what is between tags", () => {
  const part = fc.constantFrom(
    "<a>",
    "</a>",
    "<b x='1'>",
    "</b>",
    "<c/>",
    "text",
    "&amp;",
    "&",
    "<",
    ">",
    " ",
    "&#65;",
    '<d y="&lt;"/>',
    "]]>",
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 15 }), (parts) => {
      const document = readXml(parts.join(""));
      // A lone bracket and a text may make a tag together.
      if (document !== undefined) assert.match(document.root.name, /^(?:[a-d]|(?:text)+)$/);
    }),
    { numRuns: 1000 },
  );
});
