// Why: auditd's log is the least regular of all; each of its habits has cost somebody events.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { validateLine } from "ransomeye-ingestion/protocol";
import { originalOf } from "../src/lib.ts";
import { type Event, readAll, sorted } from "./helpers.ts";

const hex = (text: string | Buffer): string => Buffer.from(text).toString("hex").toUpperCase();

/** Records of one event: `SYSCALL arch=…` becomes `type=SYSCALL msg=audit(…): arch=…`. */
function lines(records: readonly string[], o: { serial?: number; time?: string; node?: string } = {}): string[] {
  return records.map((record) => {
    const cut = record.indexOf(" ");
    const [type, body] = cut < 0 ? [record, ""] : [record.slice(0, cut), record.slice(cut + 1)];
    return `${o.node === undefined ? "" : `node=${o.node} `}type=${type} msg=audit(${o.time ?? "1490137971.011"}:${o.serial ?? 50406}): ${body}`;
  });
}

async function eventsOf(all: readonly string[], host?: string): Promise<Event[]> {
  const { events, invalid } = await sorted(`${all.join("\n")}\n`, { host });
  assert.deepEqual(invalid, []);
  return events;
}

/** The one event of these records. */
async function eventOf(...records: string[]): Promise<Event> {
  const events = await eventsOf(lines(records, { node: "web1" }));
  assert.equal(events.length, 1);
  const event = events[0] as Event;
  assert.equal(validateLine(Buffer.from(JSON.stringify(event))), null);
  return event;
}

const syscall = (call: number, more = ""): string =>
  `SYSCALL arch=c000003e syscall=${call} success=yes exit=0 a0=5 a1=6 a2=7 a3=8 items=2 ppid=10 pid=20 auid=1000 uid=0 gid=0 ses=7 tty=pts0 comm="tool" exe="/usr/bin/tool" key=(null)${more}`;

test("R-28 an event's records are one event, its original all their lines", async () => {
  const all = lines([
    syscall(59),
    'EXECVE argc=3 a0="grep" a1="-r" a2=6120622E747874',
    'CWD cwd="/home/ann"',
    'PATH item=0 name="/usr/bin/tool" inode=1 mode=0100755 nametype=NORMAL',
    `PROCTITLE proctitle=${hex("grep\0-r\0a b.txt")}`,
    "EOE",
  ]);
  const [event] = await eventsOf(all);
  assert.deepEqual(originalOf(event as Event)?.toString(), all.join("\n"));
  assert.deepEqual(
    [event?.["class_uid"], event?.["activity_id"], event?.["status_id"], event?.["metadata"]["original_event_uid"], event?.["time"]],
    [1007, 1, 1, "50406", 1_490_137_971_011],
  );
  assert.deepEqual(event?.["process"], {
    pid: 20,
    name: "tool",
    file: { name: "tool", path: "/usr/bin/tool", type_id: 1 },
    user: { uid: "0" },
    cmd_line: "grep -r a b.txt",
    working_directory: "/home/ann",
    parent_process: { pid: 10 },
  });
  assert.deepEqual(event?.["actor"], { process: { pid: 10 }, user: { uid: "1000" }, session: { uid: "7", terminal: "pts0" } });
  assert.deepEqual(event?.["unmapped"]["EXECVE"], { argc: "3", a0: "grep", a1: "-r", a2: "a b.txt" }, "spaces hide where arguments end");
  assert.equal(event?.["unmapped"]["PROCTITLE"], undefined, "the same as the command line");
});

test("the host is the node that records name, else the one that is told, else unknown and no name", async () => {
  const device = async (node?: string, host?: string): Promise<unknown> =>
    (await eventsOf(lines([syscall(59)], node === undefined ? {} : { node }), host))[0]?.["device"];
  assert.deepEqual(await device("web1", "other"), { hostname: "web1", type_id: 0 });
  assert.deepEqual(await device(undefined, "told"), { hostname: "told", type_id: 0 });
  assert.deepEqual(await device(), { uid: "unknown", type_id: 0 });
});

test("serials start anew and roll over, and hosts count for themselves: node, time and serial are one event", async () => {
  const parts = [
    { serial: 4_294_967_295 },
    { serial: 0 },
    { serial: 0, time: "1490137971.012" },
    { serial: 0, node: "a" },
    { serial: 0, node: "b" },
  ].map((o) => lines([syscall(59), 'CWD cwd="/"'], o));
  const events = await eventsOf([...parts.map(([first]) => first as string), ...parts.map(([, second]) => second as string)]);
  assert.equal(events.length, 5);
  for (const event of events) assert.equal(event["process"]["working_directory"], "/");
});

test("any order of an event's records gives the same event", async () => {
  const records = lines([
    syscall(82),
    'CWD cwd="/srv"',
    'PATH item=0 name="/srv" nametype=PARENT',
    'PATH item=1 name="/srv" nametype=PARENT',
    'PATH item=2 name="a.doc" mode=0100644 nametype=DELETE',
    'PATH item=3 name="a.locked" mode=0100644 nametype=CREATE',
  ]);
  const bare = (event: Event): object => ({ ...event, raw_data: undefined, unmapped: undefined });
  const [expected] = await eventsOf(records);
  assert.deepEqual([expected?.["file"]["path"], expected?.["file_result"]["path"]], ["/srv/a.doc", "/srv/a.locked"]);
  await fc.assert(
    fc.asyncProperty(fc.shuffledSubarray(records, { minLength: records.length }), async (shuffled) => {
      const events = await eventsOf(shuffled);
      assert.deepEqual(events.map(bare), [bare(expected as Event)]);
    }),
    { numRuns: 50 },
  );
});

test("files: what a call did, to which of its paths, from which folder", async () => {
  const of = async (call: number, ...paths: string[]): Promise<unknown[]> => {
    const event = await eventOf(syscall(call), 'CWD cwd="/srv/"', ...paths);
    return [event["class_uid"], event["activity_id"], event["file"]?.["path"], event["file"]?.["type_id"]];
  };
  const parent = 'PATH item=0 name="/srv" mode=040755 nametype=PARENT';
  assert.deepEqual(await of(2, 'PATH item=0 name="./a" mode=0100600 nametype=NORMAL'), [1001, 14, "/srv/a", 1]);
  assert.deepEqual(await of(2, parent, 'PATH item=1 name="a" mode=0100600 nametype=CREATE'), [1001, 1, "/srv/a", 1]);
  assert.deepEqual(await of(87, parent, `PATH item=1 name=${hex("/srv/gr\u00fc\u00df dich")} mode=0120777 objtype=DELETE`), [
    1001,
    4,
    "/srv/grüß dich",
    7,
  ]);
  assert.deepEqual(await of(90, 'PATH item=0 name="/dev/sda" mode=060660'), [1001, 7, "/dev/sda", 4]);
  assert.deepEqual(await of(257, parent, 'PATH item=1 name="rel" nametype=NORMAL'), [1001, 14, "rel", 0], "begins at an open folder");
  assert.deepEqual(await of(87, "PATH item=0 name=(null) nametype=DELETE"), [0, 99, undefined, undefined]);
});

test("connections: addresses out of memory, who called whom, failed or still under way", async () => {
  const of = async (call: number, saddr: string, change: (record: string) => string = (record) => record): Promise<unknown[]> => {
    const event = await eventOf(change(syscall(call)), `SOCKADDR saddr=${saddr}`);
    return [
      event["class_uid"],
      event["activity_id"],
      event["src_endpoint"],
      event["dst_endpoint"],
      event["connection_info"]?.["direction_id"],
    ];
  };
  const inet = "02000050C00002010000000000000000";
  const there = { ip: "192.0.2.1", port: 80 };
  assert.deepEqual(await of(42, inet), [4001, 1, undefined, there, 2]);
  assert.deepEqual(await of(42, `0002${inet.slice(4)}`), [4001, 1, undefined, there, 2], "the other byte order");
  const failing = (exit: number) => (record: string) => record.replace("success=yes exit=0", `success=no exit=${exit}`);
  assert.deepEqual((await of(42, inet, failing(-111)))[1], 4);
  assert.deepEqual((await of(42, inet, failing(-115)))[1], 1, "in progress");
  assert.deepEqual(await of(43, inet), [4001, 1, there, undefined, 1]);
  assert.deepEqual(await of(49, inet), [4001, 99, there, undefined, undefined]);
  assert.deepEqual(await of(42, "0A0001BB0000000020010DB800000000000000000000000100000000"), [
    4001,
    1,
    undefined,
    { ip: "2001:db8::1", port: 443 },
    2,
  ]);
  const local = await eventOf(syscall(42), `SOCKADDR saddr=0100${hex("/run/x.sock\0\0")}`, "SOCKADDR saddr=010000616263");
  assert.deepEqual(local["unmapped"]["SOCKADDR"], [
    { saddr: { family: "unix", path: "/run/x.sock" } },
    { saddr: { family: "unix", path: "@abc" } },
  ]);
  for (const damaged of ["02", "0200", "0A000000", "XY", "FFFF0000"]) assert.equal((await of(42, damaged))[0], 0, damaged);
});

test("EXECVE over several records in any order, arguments in parts, characters across their borders", async () => {
  const long = Buffer.from("\u00fcber".repeat(3));
  const records = [
    `EXECVE argc=4 a0="x" a1_len=${2 * long.length} a1[0]=${hex(long.subarray(0, 6))}`,
    `EXECVE a1[1]=${hex(long.subarray(6))} a2[0]="6162" a2[1]="6364"`,
    "EXECVE a3=6F6B",
  ];
  for (const arrived of [records, records.toReversed()]) {
    const event = await eventOf(syscall(59), ...arrived);
    assert.equal(event["process"]["cmd_line"], `x ${long.toString()} 61626364 ok`);
    assert.deepEqual(event["unmapped"]["EXECVE"], { argc: "4", a1_len: "30" });
  }
});

test("only fields that may be hexadecimal are decoded, and only what is text", async () => {
  const event = await eventOf(
    `USER_TEST pid=1 comm=ABCD key=FF acct=666F6F a1=41 nul=00 words here cap=${hex("x")} key2="41"`,
    'PATH name="4142"',
  );
  assert.deepEqual(event["unmapped"], {
    USER_TEST: { pid: "1", comm: "ABCD", key: "FF", acct: "foo", a1: "41", nul: "00", cap: "78", key2: "41", words: "words here" },
    PATH: { name: "4142" },
  });
  const rules = await eventOf(syscall(0).replace("key=(null)", `key=${hex("exec\u0001cron")}`));
  assert.deepEqual(rules["unmapped"]["SYSCALL"]["key"], ["exec", "cron"]);
});

test("resolved fields behind the separator name users and calls, also of architectures that are not known here", async () => {
  const event = await eventOf(
    syscall(999, '\x1dARCH=riscv64 SYSCALL=execve AUID="ann" UID="root" GID="root"').replace("c000003e", "c00000f3"),
    "SOCKADDR saddr=00\x1dSADDR={ saddr_fam=inet laddr=192.0.2.1 lport=80 }",
  );
  assert.deepEqual(
    [event["class_uid"], event["actor"]["user"], event["process"]["user"]],
    [1007, { uid: "1000", name: "ann" }, { uid: "0", name: "root" }],
  );
  assert.equal(event["unmapped"]["SOCKADDR"]["SADDR"], "{ saddr_fam=inet laddr=192.0.2.1 lport=80 }");
});

test("who logged on and off; ids that are not set are nobody; one logon is not counted five times", async () => {
  const of = async (type: string, msg: string, head = "pid=5 uid=0 auid=4294967295 ses=4294967295"): Promise<Event> =>
    eventOf(`${type} ${head} msg='${msg}'`);
  const login = await of("USER_LOGIN", 'op=login acct="ann" exe="/usr/sbin/sshd" hostname=? addr=192.0.2.7 terminal=ssh res=failed');
  assert.deepEqual(
    [
      login["class_uid"],
      login["activity_id"],
      login["status_id"],
      login["user"],
      login["src_endpoint"],
      login["session"],
      login["actor"]["user"],
    ],
    [3002, 1, 2, { name: "ann" }, { ip: "192.0.2.7" }, undefined, undefined],
  );
  const logout = await of(
    "USER_LOGOUT",
    'op=login id=1000 exe="/usr/sbin/sshd" hostname=h.example addr=? terminal=pts/1 res=success',
    "pid=5 uid=0 auid=1000 ses=3",
  );
  assert.deepEqual(
    [logout["activity_id"], logout["user"], logout["src_endpoint"], logout["session"]],
    [2, { uid: "1000" }, { hostname: "h.example" }, { uid: "3", terminal: "pts/1" }],
  );
  const pam = await of(
    "USER_START",
    'PAM: session open acct=root : exe="/usr/sbin/crond" (hostname=?, addr=?, terminal=cron res=success)',
    "user pid=5 uid=0 auid=0",
  );
  assert.deepEqual([pam["activity_id"], pam["activity_name"], pam["user"], pam["status_id"]], [99, "user_start", { name: "root" }, 1]);
  assert.deepEqual(pam["unmapped"]["USER_START"], {
    auid: "0",
    words: "user",
    msg: { hostname: "?", addr: "?", terminal: "cron", words: "PAM: session open :" },
  });
  const nobody = await of("USER_LOGIN", 'op=login exe="/bin/login" res=failed');
  assert.equal(nobody["class_uid"], 0, "an authentication names somebody");
});

test("sudo's commands, crashes, old spellings, cut lines and records that nobody knows", async () => {
  const sudo = await eventOf(
    `USER_CMD pid=5 uid=1000 auid=1000 ses=3 msg='cwd="/srv" cmd=${hex("/bin/ls -l /root")} terminal=pts/0 res=success'`,
  );
  assert.deepEqual(
    [sudo["class_uid"], sudo["process"]["cmd_line"], sudo["process"]["working_directory"], sudo["actor"]["process"]["pid"]],
    [1007, "/bin/ls -l /root", "/srv", 5],
  );
  const crash = await eventOf('ANOM_ABEND auid=4294967295 uid=48 gid=48 ses=4294967295 pid=31242 comm="httpd" sig=11');
  assert.deepEqual([crash["class_uid"], crash["activity_id"], crash["severity_id"], crash["process"]["name"]], [1007, 2, 3, "httpd"]);
  const login = await eventOf("LOGIN login pid=13015 uid=0 old auid=4294967295 new auid=0");
  assert.deepEqual(login["unmapped"]["LOGIN"], { pid: "13015", uid: "0", "old-auid": "4294967295", "new-auid": "0", words: "login" });
  const denied = await eventOf('AVC avc:  denied  { read write } for  pid=1 comm="x" tclass=dir');
  assert.deepEqual(
    [denied["severity_id"], denied["unmapped"]["AVC"]["words"], denied["metadata"]["event_code"]],
    [2, "avc: denied { read write } for", "AVC"],
  );
  const cut = await eventOf("SERVICE_START pid=1 msg='unit=rsyslog comm=\"systemd");
  assert.deepEqual(cut["unmapped"]["SERVICE_START"], { pid: "1", msg: { unit: "rsyslog", comm: "systemd" } });
  const unknown = await eventOf("UNKNOWN[1334] prog-id=1 op=LOAD __proto__=x pid=1 pid=2");
  assert.deepEqual(Object.entries(unknown["unmapped"]["UNKNOWN[1334]"]), [
    ["prog-id", "1"],
    ["op", "LOAD"],
    ["__proto__", "x"],
    ["pid", ["1", "2"]],
  ]);
});

test("P-8 lines that are no records are named by place and reason and do not end an event", async () => {
  const [first, second] = lines([syscall(59), 'CWD cwd="/"']) as [string, string];
  const { events, invalid } = await sorted(`${first}\nrotated\ntype=CWD msg=audit(1:2): x\n${second}\n`);
  assert.equal(events[0]?.["process"]["working_directory"], "/");
  assert.deepEqual(
    invalid.map(({ code, place }) => [code, place.line, place.byteOffset]),
    [
      ["SHIP_RECORD_MALFORMED", 2, first.length + 1],
      ["SHIP_RECORD_MALFORMED", 3, first.length + 9],
    ],
  );
  for (const { message } of invalid) assert.match(message, /^[\x20-\x7e]+$/);
});

test("any text behind a record's head gives an event with its original", async () => {
  const word = fc.constantFrom(
    "a0=",
    "msg='",
    "'",
    '"',
    "saddr=",
    "exe=",
    "{ ",
    "}",
    "\x1d",
    "old ",
    "0A00",
    "=",
    "pid=1",
    "uid=-1",
    "\u0000",
    "\ud800",
    "é",
  );
  const type = fc.constantFrom("SYSCALL", "EXECVE", "PATH", "SOCKADDR", "USER_LOGIN", "USER_CMD", "PROCTITLE", "AVC", "LOGIN");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(type, fc.array(fc.oneof(word, fc.string({ maxLength: 4 })), { maxLength: 12 })), { minLength: 1, maxLength: 4 }),
      async (records) => {
        const text = lines(
          records.map(([name, words]) => `${name} syscall=59 arch=c000003e ${words.join("")}`.replaceAll(/[\r\n]/g, " ")),
        ).join("\n");
        const [item] = await readAll(Buffer.from(text));
        assert.ok(item?.kind === "event", item?.kind === "invalid" ? item.message : "nothing came");
        assert.equal(validateLine(item.line), null);
        assert.deepEqual(
          originalOf(JSON.parse(item.line.toString()) as Event)
            ?.toString()
            .split("\n")[0],
          Buffer.from(text).toString().split("\n")[0],
        );
      },
    ),
    { numRuns: 1000 },
  );
});
