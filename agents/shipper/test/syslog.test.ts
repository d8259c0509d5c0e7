// Why: syslog is two standards and what everybody made of them; each shape that is met is here.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { validateLine } from "ransomeye-ingestion/protocol";
import { inputStart, type RawRecord } from "../src/input/framing.ts";
import { SyslogFraming } from "../src/input/syslog_framing.ts";
import { originalOf, type ReadOptions } from "../src/lib.ts";
import { type Event, sorted } from "./helpers.ts";

/** Noon of New Year's Day 2026, UTC. */
const clock = { nowUs: (): number => Date.UTC(2026, 0, 1, 12) * 1000, monotonicMs: (): number => 0 };

async function eventOf(line: string, options: Partial<ReadOptions> = {}): Promise<Event> {
  const { events, invalid } = await sorted(`${line}\n`, { clock, ...options });
  assert.deepEqual([events.length, invalid.map(({ message }) => message)], [1, []], line);
  const event = events[0] as Event;
  assert.deepEqual(originalOf(event)?.toString(), line);
  return event;
}

/** What a line was understood to say: time, severity, host, app, process, message. */
async function said(line: string, options: Partial<ReadOptions> = {}): Promise<unknown[]> {
  const event = await eventOf(line, options);
  const process = event["actor"]?.["process"];
  return [
    new Date(event["time"]).toISOString(),
    event["severity_id"],
    event["device"]?.["hostname"],
    process?.["name"],
    process?.["pid"] ?? event["unmapped"]?.["process"],
    event["message"],
  ];
}

test("RFC 5424: its own examples", async () => {
  assert.deepEqual(
    await said("<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed for lonvick on /dev/pts/8"),
    ["2003-10-11T22:14:15.003Z", 5, "mymachine.example.com", "su", undefined, "'su root' failed for lonvick on /dev/pts/8"],
  );
  const event = await eventOf(
    '<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - [a@1 iut="3" eventSource="App"][b@1 class="high"] %% It\'s time',
  );
  assert.deepEqual(
    [event["time_dt"], event["severity_id"], event["actor"]["process"]],
    ["2003-08-24T12:14:15.000003Z", 2, { name: "myproc", pid: 8710 }],
  );
  assert.deepEqual(event["unmapped"], {
    priority: 165,
    facility: 20,
    structured_data: { "a@1": { iut: "3", eventSource: "App" }, "b@1": { class: "high" } },
  });
  assert.deepEqual((await said('<165>1 2003-10-11T22:14:15.003Z h a - - [x@1 a="1"]')).at(-1), "", "structured data and no message");
});

test("RFC 5424: escapes, nanoseconds, names for nothing, a process that is no number, a parameter twice", async () => {
  const event = await eventOf('<13>1 2026-01-01T00:00:00.123456789Z - - sub-1 - [x a="\\"\\]\\\\\\n" b="1" b="2"][empty] m');
  assert.equal(event["time_dt"], "2026-01-01T00:00:00.123456Z");
  assert.deepEqual(event["unmapped"]["structured_data"], { x: { a: String.raw`"]\\n`, b: ["1", "2"] }, empty: {} });
});

test("RFC 5424: what breaks its grammar is invalid and told so; without a time there is no event", async () => {
  const bad = [
    '<13>1 2026-01-01T00:00:00Z h a - - [x a="1] m',
    '<13>1 2026-01-01T00:00:00Z h a - - [x a="]"] m',
    "<13>1 2026-01-01T00:00:00Z h a - - [x]m",
    "<13>1 2026-01-01T00:00:00Z h a -",
    "<192>1 2026-01-01T00:00:00Z h a - - - m",
    "<13>2 2026-01-01T00:00:00Z h a - - - m",
  ];
  const { events, invalid } = await sorted(`${bad.join("\n")}\n<13>1 - h a - - - m\n<13>1 2026-13-01T00:00:00Z h a - - - m\n`, {
    format: "syslog",
  });
  assert.deepEqual(
    [events.length, invalid.map(({ code, place }) => [code, place.line])],
    [0, [1, 2, 3, 4, 5, 6].map((line) => ["SHIP_RECORD_MALFORMED", line]).concat([7, 8].map((line) => ["SHIP_TIME_MISSING", line]))],
  );
});

test("all eight severities", async () => {
  const severities = await Promise.all(Array.from({ length: 8 }, (_, i) => said(`<${8 + i}>1 2026-01-01T00:00:00Z h a - - - m`)));
  assert.deepEqual(
    severities.map(([, severity]) => severity),
    [6, 5, 5, 4, 3, 2, 1, 1],
  );
});

test("RFC 3164 as it is met: with and without priority and host, tags of all kinds", async () => {
  const time = "2025-12-31T23:59:58.000Z";
  const cases: [string, unknown[]][] = [
    ["<34>Dec 31 23:59:58 host su: 'su root' failed", [time, 5, "host", "su", undefined, "'su root' failed"]],
    ["Dec 31 23:59:58 host sshd[123]: text: more", [time, 0, "host", "sshd", 123, "text: more"]],
    ["Dec 31 23:59:58 sshd[123]: no host", [time, 0, undefined, "sshd", 123, "no host"]],
    ["Dec 31 23:59:58 host su(pam_unix)[7]: opened", [time, 0, "host", "su(pam_unix)", 7, "opened"]],
    ["Dec 31 23:59:58 fe80::1 postfix/smtpd[7]:x", [time, 0, "fe80::1", "postfix/smtpd", 7, "x"]],
    ["Dec 31 23:59:58 host kernel: [12.5] eth0: up", [time, 0, "host", "kernel", undefined, "[12.5] eth0: up"]],
    ["Dec 31 23:59:58 host app[worker-1]: x", [time, 0, "host", "app", "worker-1", "x"]],
    ["Dec 31 23:59:58 host last message repeated 2 times", [time, 0, "host", undefined, undefined, "last message repeated 2 times"]],
    ["<13>Dec 31 23:59:58 router 10:20:30 no tag", [time, 2, "router", undefined, undefined, "10:20:30 no tag"]],
    ["<13>*Dec 31 2025 23:59:58.000: %SYS-5-X: y", [time, 2, undefined, "%SYS-5-X", undefined, "y"]],
    ["2025-12-31T23:59:58.000000+00:00 host cron[9]: x", [time, 0, "host", "cron", 9, "x"]],
    ["<13>2026-01-01T00:59:58+01:00 host cron[9]: x", [time, 2, "host", "cron", 9, "x"]],
  ];
  for (const [line, expected] of cases) assert.deepEqual(await said(line), expected, line);
});

test("FMT-8 the year is the latest that is not more than a day ahead; the zone is the one that is told; without a reference there is none", async () => {
  const at = async (time: string, options: Partial<ReadOptions> = {}): Promise<unknown> => (await said(`${time} h a: m`, options))[0];
  assert.equal(await at("Jan  2 11:59:59"), "2026-01-02T11:59:59.000Z", "a clock that is ahead");
  assert.equal(await at("Jan  2 12:00:01"), "2025-01-02T12:00:01.000Z");
  assert.equal(await at("Dec 31 10:00:00"), "2025-12-31T10:00:00.000Z");
  assert.equal(await at("Feb 29 10:00:00"), "2024-02-29T10:00:00.000Z", "the last year that had the day");
  assert.equal(await at("Jan  1 00:30:00", { zoneMinutes: 60 }), "2025-12-31T23:30:00.000Z");
  assert.equal(await at("Jan  3 00:30:00", { zoneMinutes: 14 * 60 }), "2026-01-02T10:30:00.000Z");
  const { invalid } = await sorted("Dec 31 23:59:58 h a: m\nFeb 30 10:00:00 h a: m\n");
  assert.deepEqual(
    invalid.map(({ code }) => code),
    ["SHIP_TIME_MISSING", "SHIP_TIME_MISSING"],
  );
});

test("sshd's logons are authentications; whoever knocks cannot choose where from", async () => {
  const of = async (message: string): Promise<unknown[]> => {
    const event = await eventOf(`Dec 31 23:59:58 host sshd[1]: ${message}`);
    return [event["class_uid"], event["status_id"], event["user"]?.["name"], event["src_endpoint"]];
  };
  const from = { ip: "192.0.2.9", port: 51022 };
  assert.deepEqual(await of("Accepted publickey for ann from 192.0.2.9 port 51022 ssh2: RSA SHA256:abc"), [3002, 1, "ann", from]);
  assert.deepEqual(await of("Failed password for invalid user bob from 192.0.2.9 port 51022 ssh2"), [3002, 2, "bob", from]);
  assert.deepEqual(await of("Failed password for invalid user x from 10.0.0.1 port 1 ssh2 from 192.0.2.9 port 51022 ssh2"), [
    3002,
    2,
    "x from 10.0.0.1 port 1 ssh2",
    from,
  ]);
  for (const other of ["Failed password for invalid user  from 192.0.2.9 port 51022 ssh2", "Connection closed by 192.0.2.9 port 1"])
    assert.equal((await of(other))[0], 0, other);
});

test("any line gives a valid event with its original, or a reason", async () => {
  const word = fc.constantFrom(
    "<13>",
    "<191>1 ",
    "2026-01-01T00:00:00Z ",
    "Dec 31 23:59:58 ",
    "host ",
    "- ",
    '[a b="c"]',
    "[x",
    "sshd[1]: ",
    ": ",
    "\ud800",
    "\u0000",
    "\ufeff",
  );
  const end = fc.constantFrom(
    "",
    "<Event><System></System></Event>",
    "Failed password for x from y port 70000 ssh2",
    "Accepted none for \u0000 from \u0000 port 1",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(word, fc.string({ maxLength: 5 })), { maxLength: 12 }), end, async (words, last) => {
      const line = (words.join("") + last).replaceAll(/[\r\n]/g, " ");
      const { events, invalid } = await sorted(`log ${line}\n<13>1 2026-01-01T00:00:00Z ${line}\nDec 31 23:59:58 ${line}\n`, {
        clock,
        format: "syslog",
      });
      assert.equal(events.length + invalid.length, 3);
      for (const event of events) assert.equal(validateLine(Buffer.from(JSON.stringify(event))), null);
      for (const { message } of invalid) assert.match(message, /^[\x20-\x7e]+$/);
    }),
    { numRuns: 500 },
  );
});

function framed(text: string | Buffer, chunkBytes: number, recordBytesMax = 1000): RawRecord[] {
  const out: RawRecord[] = [];
  const framing = new SyslogFraming({
    recordBytesMax,
    start: inputStart,
    take: (record) => out.push({ ...record, bytes: Buffer.from(record.bytes) }),
  });
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += chunkBytes) framing.push(bytes.subarray(at, at + chunkBytes));
  framing.end();
  return out;
}

test("RFC 6587: messages behind their length and on lines in one stream, with line feeds inside, whatever the chunks", () => {
  const message = "<13>1 2026-01-01T00:00:00Z h a - - - two\nlines\n";
  const text = `${message.length} ${message}${message.length} ${message}<13>line\r\n\n12 apples\n9999999 <too long\n7 <13>abc7 <13>cut`;
  for (let chunkBytes = 1; chunkBytes < 40; chunkBytes++) {
    const records = framed(text, chunkBytes);
    assert.deepEqual(
      records.map(({ bytes }) => bytes.toString()),
      [message, message, "<13>line", "12 apples", "9999999 <too long", "<13>abc", "<13>cut"],
    );
    assert.deepEqual(
      records.map(({ record, line }) => [record, line]),
      [
        [1, 1],
        [2, 3],
        [3, 5],
        [4, 7],
        [5, 8],
        [6, 9],
        [7, 9],
      ],
    );
    for (const { bytes, byteOffset } of records) assert.equal(text.slice(byteOffset, byteOffset + bytes.length), bytes.toString());
  }
});

test("a message beyond the bound is passed over, its neighbours are not", () => {
  const records = framed(`<13>a\n<13>${"y".repeat(5000)}\n<13>b\n`, 100);
  assert.deepEqual(
    records.map(({ oversize, length }) => [oversize, length]),
    [
      [false, 5],
      [true, 5004],
      [false, 5],
    ],
  );
});

test("any bytes: the same messages for every chunk size, each where it says", () => {
  const noise = fc.array(fc.constantFrom("1", "12", "6 <13>a\n", " ", "<", "<13>x", "\n", "\r\n", "a", "0 <"), { maxLength: 30 });
  fc.assert(
    fc.property(noise, fc.integer({ min: 1, max: 9 }), (parts, chunkBytes) => {
      const text = parts.join("");
      const records = framed(text, chunkBytes);
      assert.deepEqual(records, framed(text, 1 << 20));
      for (const { bytes, byteOffset, line } of records) {
        assert.equal(text.slice(byteOffset, byteOffset + bytes.length), bytes.toString());
        assert.ok(line >= 1 && line <= text.split("\n").length);
      }
    }),
    { numRuns: 500 },
  );
});
