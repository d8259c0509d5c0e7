// Why: osquery writes all values as texts, in four shapes of line; each must say when, where and what.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Event, eventOf, sorted } from "./helpers.ts";

const line = { hostIdentifier: "web-1", calendarTime: "Thu Dec  7 12:21:20 2017 UTC", unixTime: "1512649280", epoch: "0", counter: "3" };
const uid = (event: Event): string => `${event["class_uid"]}/${event["activity_id"]}`;
const result = (name: string, columns: object, action = "added"): object => ({ name, ...line, columns, action });

test("process_events: the row's own time, ids out of texts, -1 and the unset id left alone", async () => {
  const columns = {
    pid: "4711",
    parent: "1",
    path: "/usr/bin/curl",
    cmdline: "curl -s x",
    cwd: "/tmp",
    uid: "1000",
    auid: "4294967295",
    time: "1512649270",
  };
  const { event, row } = await eventOf(result("pack/ir/process_events", columns));
  assert.deepEqual(
    [uid(event), row.processPid, row.processName, row.userName, row.host, row.message, row.eventTimeUs],
    ["1007/1", 4711, "curl", "1000", "web-1", "curl -s x", 1_512_649_270_000_000],
  );
  assert.deepEqual([event["actor"].process.pid, event["unmapped"].columns], [1, { auid: "4294967295", time: "1512649270" }]);
  assert.equal(event["metadata"].logged_time, 1_512_649_280_000);
  const unknown = await eventOf(result("process_events", { ...columns, pid: "-1", parent: "-1" }));
  assert.deepEqual(
    [unknown.row.processPid, unknown.event["actor"], unknown.event["unmapped"].columns.pid],
    [null, { app_name: "unknown" }, "-1"],
  );
  const ended = await eventOf(result("es_process_events", { ...columns, event_type: "exit", exit_code: "137" }));
  assert.deepEqual([uid(ended.event), ended.event["exit_code"]], ["1007/2", 137]);
});

test("a table is known by the query's name, else by columns that only it has", async () => {
  const columns = {
    target_path: "/etc/shadow",
    action: "UPDATED",
    sha256: "AB".repeat(32),
    md5: "",
    size: "12",
    uid: "0",
    time: "1512649270",
  };
  for (const name of ["fim", "pack_fim_file_events"]) {
    const { event, row } = await eventOf(result(name, columns));
    assert.deepEqual(
      [uid(event), row.filePath, row.fileSha256?.toString("hex"), row.userName, event["file"].size],
      ["1001/3", "/etc/shadow", "ab".repeat(32), null, 12],
    );
    assert.deepEqual(event["unmapped"].columns, { action: "UPDATED", md5: "", uid: "0", time: "1512649270" });
  }
  const other = await eventOf(result("file_events_summary", { total: "12" }));
  assert.deepEqual([uid(other.event), other.event["unmapped"].columns], ["0/99", { total: "12" }]);
});

test("sockets: whoever began is the source; Unix sockets have no ends and stay base events", async () => {
  const ends = {
    local_address: "192.0.2.1",
    local_port: "443",
    remote_address: "192.0.2.9",
    remote_port: "50000",
    protocol: "6",
    pid: "7",
  };
  const accepted = await eventOf(result("socket_events", { ...ends, action: "accept", auid: "1000" }));
  assert.deepEqual(
    [uid(accepted.event), accepted.row.srcIp, accepted.row.dstPort, accepted.event["connection_info"]],
    ["4001/1", "192.0.2.9", 443, { direction_id: 1, protocol_name: "tcp", protocol_num: 6 }],
  );
  const refused = await eventOf(result("socket_events", { ...ends, action: "connect", status: "failed" }));
  assert.deepEqual([uid(refused.event), refused.row.srcIp], ["4001/4", "192.0.2.1"]);
  const closed = await eventOf(result("process_open_sockets", ends, "removed"));
  assert.deepEqual([uid(closed.event), closed.row.processPid, closed.row.dstIp], ["4001/2", 7, "192.0.2.9"]);
  const unix = await eventOf(
    result("process_open_sockets", { pid: "7", family: "1", path: "/run/x", local_address: "", remote_address: "" }),
  );
  assert.equal(uid(unix.event), "0/99");
});

test("people: audit's account is the user, not the program that asked; only sessions are logins", async () => {
  const message = 'op=login acct="ann" exe="/usr/sbin/sshd" res=failed';
  const login = await eventOf(
    result("user_events", { type: "1112", message, uid: "0", auid: "4294967295", address: "192.0.2.7", path: "/usr/sbin/sshd", pid: "9" }),
  );
  assert.deepEqual(
    [uid(login.event), login.row.userName, login.event["actor"].user.uid, login.row.srcIp, login.event["status_id"]],
    ["3002/1", "ann", "0", "192.0.2.7", 2],
  );
  const session = { type: "user", user: "bob", tty: "pts/0", host: "host.example", time: "1512649000" };
  const out = await eventOf(result("logged_in_users", session, "removed"));
  assert.deepEqual(
    [uid(out.event), out.row.userName, out.event["src_endpoint"].hostname, out.row.eventTimeUs],
    ["3002/2", "bob", "host.example", 1_512_649_280_000_000],
  );
  assert.equal(uid((await eventOf(result("logged_in_users", { ...session, type: "boot_time" }))).event), "0/99");
});

test("FMT-5 a snapshot and a batch are one event each: of the row's class with one row, a base event that holds all of them with several", async () => {
  const row = { pid: "7", local_address: "192.0.2.1", local_port: "1", remote_address: "192.0.2.2", remote_port: "2", protocol: "17" };
  const one = await eventOf({ name: "process_open_sockets", ...line, action: "snapshot", snapshot: [row] });
  assert.deepEqual(
    [uid(one.event), one.event["activity_name"], one.row.dstPort, one.event["metadata"].log_name],
    ["4001/99", "snapshot", 2, "snapshots"],
  );
  const several = await eventOf({ name: "process_open_sockets", ...line, action: "snapshot", snapshot: [row, row] });
  assert.deepEqual([uid(several.event), several.event["unmapped"].snapshot], ["0/99", [row, row]]);
  const batch = await eventOf({ name: "process_open_sockets", ...line, diffResults: { added: [], removed: [row] } });
  assert.equal(uid(batch.event), "4001/2");
  const both = await eventOf({ name: "process_open_sockets", ...line, diffResults: { added: [row], removed: [row] } });
  assert.deepEqual([uid(both.event), both.event["unmapped"].diffResults], ["0/99", { added: [row], removed: [row] }]);
});

test("FMT-10 what the host holds: rows that came and went are changes; rows that were only found are not", async () => {
  const kernelModule = { name: "evil", size: "16384", used_by: "-", status: "Live", address: "0x0" };
  const account = { uid: "1002", gid: "1002", username: "bob", description: "Bob B", directory: "/home/bob", shell: "/bin/sh" };
  const staff = { gid: "1003", groupname: "staff" };
  for (const [name, columns, added, removed] of [
    ["pack/ir/kernel_modules", kernelModule, "1002/1", "1002/2"],
    ["loaded", kernelModule, "1002/1", "1002/2"],
    ["pack_ir_users", account, "3007/1", "3007/3"],
    ["groups", staff, "3006/6", "3006/5"],
    ["user_groups", { uid: "1002", gid: "1003" }, "3006/3", "3006/4"],
    // A query of somebody's own that has users in its name, or their columns in its rows.
    ["users_with_keys", { key_file: "/x", uid: "1002" }, "0/99", "0/99"],
    ["crontabs", account, "0/99", "0/99"],
  ] as const) {
    const uids = await Promise.all(["added", "removed"].map(async (action) => uid((await eventOf(result(name, columns, action))).event)));
    assert.deepEqual([name, ...uids], [name, added, removed]);
    for (const first of [
      { ...result(name, columns), counter: 0 },
      { name, ...line, snapshot: [columns] },
    ])
      assert.equal(uid((await eventOf(first)).event), "0/99");
  }
  const { event } = await eventOf(result("users", account));
  assert.deepEqual(
    [event["user"], event["unmapped"].columns],
    [
      { name: "bob", uid: "1002", full_name: "Bob B" },
      { gid: "1002", directory: "/home/bob", shell: "/bin/sh" },
    ],
  );
  const joined = await eventOf(result("user_groups", { uid: "1002", gid: "1003" }));
  assert.deepEqual([joined.event["group"], joined.event["users"]], [{ uid: "1003" }, [{ uid: "1002" }]]);
});

test("status lines carry severity and message; numbers in place of texts are read alike", async () => {
  const status = {
    hostIdentifier: "web-1",
    unixTime: 1_512_649_280,
    severity: 2,
    filename: "scheduler.cpp",
    line: "83",
    message: "it broke",
    version: "5.1.0",
  };
  const { event, row } = await eventOf(status);
  assert.deepEqual(
    [event["severity_id"], row.message, row.eventTimeUs, event["metadata"].log_name, event["metadata"].product.version],
    [4, "it broke", 1_512_649_280_000_000, "status", "5.1.0"],
  );
});

test("the host is named by name or uuid; without unixTime the calendar's time counts; without both there is none", async () => {
  const host = "72E1287B-D1BC-4FC6-B9D8-64F4352776A9";
  const { event } = await eventOf({
    ...result("x", { a: "1" }),
    hostIdentifier: host,
    decorations: { hostname: "web-2", username: "u" },
    unixTime: "",
  });
  assert.deepEqual(
    [event["device"], event["time"], event["unmapped"].decorations],
    [{ hostname: "web-2", uid: host, type_id: 0 }, 1_512_649_280_000, { username: "u" }],
  );
  const nameless = { ...result("process_events", { pid: "7" }), hostIdentifier: undefined };
  const [told, unknown] = [await eventOf(nameless, { host: "web-3" }), await eventOf(nameless)];
  assert.deepEqual(
    [told.row.host, unknown.row.host, uid(unknown.event), unknown.event["device"].uid],
    ["web-3", null, "1007/1", "unknown"],
  );
  const { invalid } = await sorted(
    '{"hostIdentifier":"h","name":"x","columns":{"a":"1"},"action":"added","calendarTime":"Thu Foo 7 12:21:20 2017 UTC"}\n',
  );
  assert.deepEqual(
    invalid.map(({ code }) => code),
    ["SHIP_TIME_MISSING"],
  );
});
