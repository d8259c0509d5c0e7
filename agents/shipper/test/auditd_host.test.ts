// Why: who made accounts, loaded code into the kernel or switched auditing off is what an intruder hides first.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Event, sorted } from "./helpers.ts";

const uid = (event: Event): string => `${event["class_uid"]}/${event["activity_id"]}`;

/** The one event of these records. */
async function eventOf(...records: string[]): Promise<Event> {
  const lines = records.map((record) => record.replace(/^(\S+) ?/, "node=web1 type=$1 msg=audit(1490137971.011:7): "));
  const { events, invalid } = await sorted(`${lines.join("\n")}\n`);
  assert.deepEqual([invalid, events.length], [[], 1]);
  return events[0] as Event;
}

const said = (type: string, message: string, behind = ""): string =>
  `${type} pid=20 uid=0 auid=1000 ses=7 msg='${message} exe="/usr/sbin/tool" hostname=web1 addr=192.0.2.7 terminal=pts/0 res=success'${behind}`;

test("accounts: each type's own change, whoever made it and from where", async () => {
  const event = await eventOf(said("ADD_USER", "op=add-user id=1002", '\u001dUID="root" AUID="ann" ID="bob"'));
  assert.deepEqual(
    [uid(event), event["user"], event["status_id"], event["src_endpoint"]],
    ["3007/1", { name: "bob", uid: "1002" }, 1, { ip: "192.0.2.7", hostname: "web1" }],
  );
  assert.deepEqual(event["actor"], {
    process: { pid: 20, name: "tool", file: { name: "tool", path: "/usr/sbin/tool", type_id: 1 }, user: { uid: "0", name: "root" } },
    user: { uid: "1000", name: "ann" },
    session: { uid: "7" },
  });
  for (const [type, message, expected] of [
    ["ADD_USER", 'op=adding user acct="bob"', "3007/1"],
    ["ADD_USER", 'op=adding home directory acct="bob"', "3007/2"],
    ["ADD_USER", 'op=adding user to group acct="bob"', "3007/2"],
    ["DEL_USER", "op=delete-user id=1002", "3007/3"],
    ["DEL_USER", 'op=deleting user entries acct="bob"', "3007/3"],
    ["DEL_USER", 'op=deleting mail file acct="bob"', "3007/2"],
    ["USER_MGMT", 'op=changing-shell acct="bob"', "3007/2"],
    ["USER_CHAUTHTOK", 'op=PAM:chauthtok acct="bob"', "3007/8"],
    ["USER_CHAUTHTOK", "op=change password id=1002", "3007/8"],
    ["USER_CHAUTHTOK", 'op=changing password expiration acct="bob"', "3007/2"],
    ["USER_CHAUTHTOK", 'op=locking password acct="bob"', "3007/6"],
    ["USER_CHAUTHTOK", 'op=locking password file acct="bob"', "3007/2"],
    ["USER_MGMT", 'op=unlock-password acct="bob"', "3007/7"],
    ["ACCT_LOCK", 'op=locked-password acct="bob"', "3007/6"],
    ["ACCT_UNLOCK", 'op=unlocked-password acct="bob"', "3007/7"],
  ] as const) {
    const one = await eventOf(said(type, message));
    assert.deepEqual([message, uid(one), one["user"].name ?? one["user"].uid], [message, expected, /id=/.test(message) ? "1002" : "bob"]);
  }
  const nameless = await eventOf(said("USER_MGMT", "op=modify id=4294967295"));
  assert.deepEqual([uid(nameless), nameless["unmapped"].USER_MGMT.msg.id], ["0/99", "4294967295"]);
});

test("groups: made, changed, gone; who came and who left, in old words and new", async () => {
  const added = await eventOf(said("USER_MGMT", 'op=add-user-to-group grp="wheel" acct="bob"'));
  assert.deepEqual(
    [uid(added), added["group"], added["users"], added["user"]],
    ["3006/3", { name: "wheel" }, [{ name: "bob" }], undefined],
  );
  const removed = await eventOf(said("GRP_MGMT", 'op=deleting user from group grp="wheel" acct="bob"'));
  assert.deepEqual([uid(removed), removed["group"], removed["users"]], ["3006/4", { name: "wheel" }, [{ name: "bob" }]]);
  for (const [type, message, expected] of [
    ["ADD_GROUP", 'op=add-group grp="staff" id=1003', "3006/6"],
    ["ADD_GROUP", 'op=adding group acct="staff" id=1003', "3006/6"],
    ["DEL_GROUP", 'op=delete-group grp="staff" id=1003', "3006/5"],
    ["GRP_MGMT", 'op=modify-group acct="staff" id=1003', "3006/9"],
  ] as const) {
    const one = await eventOf(said(type, message));
    assert.deepEqual([message, uid(one), one["group"]], [message, expected, { name: "staff", uid: "1003" }]);
  }
  // A member whose group nobody names is still somebody.
  const half = await eventOf(said("GRP_MGMT", 'op=add-user-to-group grp="wheel"'));
  assert.deepEqual([uid(half), half["group"]], ["3006/9", { name: "wheel" }]);
});

const syscall = (call: number, arch = "c000003e", success = "yes"): string =>
  `SYSCALL arch=${arch} syscall=${call} success=${success} exit=0 a0=5 items=0 ppid=10 pid=20 auid=1000 uid=0 ses=7 comm="insmod" exe="/usr/bin/kmod"`;

test("kernel modules come and go under the kernel's name for them, or by the path that was loaded", async () => {
  const loaded = await eventOf(syscall(313), 'KERN_MODULE name="evil"', "PROCTITLE proctitle=696E736D6F64");
  assert.deepEqual(
    [uid(loaded), loaded["driver"], loaded["actor"].process.pid, loaded["status_id"], loaded["metadata"].event_code],
    ["1002/1", { file: { name: "evil", type_id: 0 } }, 20, 1, "KERN_MODULE"],
  );
  const refused = await eventOf(syscall(105, "c00000b7", "no"), 'KERN_MODULE name="evil"');
  assert.deepEqual([uid(refused), refused["status_id"]], ["1002/1", 2]);
  assert.equal(uid(await eventOf(syscall(129, "40000003"), 'KERN_MODULE name="evil"')), "1002/2");
  const named = await eventOf(
    syscall(313),
    'CWD cwd="/root"',
    'PATH item=0 name="x.ko" mode=0100644 nametype=NORMAL',
    'KERN_MODULE name="evil"',
  );
  assert.deepEqual(named["driver"].file, { name: "x.ko", path: "/root/x.ko", type_id: 1 });
  assert.equal(named["unmapped"].KERN_MODULE.name, "evil");
  // Neither the call's number on an unknown machine nor its lack may hide the module, and no call is a module without one.
  assert.equal(uid(await eventOf(syscall(353, "c0000015"), 'KERN_MODULE name="evil"')), "1002/0");
  const alone = await eventOf('KERN_MODULE name="evil"');
  assert.deepEqual([uid(alone), alone["actor"]], ["1002/0", { app_name: "unknown" }]);
  assert.equal(uid(await eventOf(syscall(175))), "0/99");
});

test("BPF programs come and go by their ids, whatever the call; other calls of bpf() are invocations", async () => {
  const loaded = await eventOf(syscall(321), "BPF prog-id=42 op=LOAD");
  assert.deepEqual(
    [uid(loaded), loaded["kernel"], loaded["status_id"]],
    ["1003/1", { name: "BPF program 42", type_id: 99, type: "BPF program" }, 1],
  );
  assert.equal(uid(await eventOf(syscall(231), "BPF prog-id=42 op=UNLOAD")), "1003/3");
  assert.deepEqual((await eventOf("BPF prog-id=42 op=UNLOAD"))["actor"], { app_name: "unknown" });
  const called = await eventOf(syscall(280, "c00000b7"));
  assert.deepEqual([uid(called), called["kernel"]], ["1003/4", { name: "bpf", type_id: 2, system_call: "bpf" }]);
});

test("the audit service: start, end, rotation, resumption; auditing switched on and off, and nothing else that is set", async () => {
  for (const [type, body, expected] of [
    ["DAEMON_START", "op=start ver=3.0 format=enriched kernel=5.4 auid=0 pid=900 uid=0 ses=4 res=success", "1008/6"],
    ["DAEMON_END", "op=terminate auid=1000 uid=0 ses=4 pid=20 res=success", "1008/7"],
    ["DAEMON_ABORT", "op=error-halt auid=0 pid=900 res=failed", "1008/7"],
    ["DAEMON_ROTATE", "op=rotate-logs auid=1000 pid=20 res=success", "1008/5"],
    ["DAEMON_RESUME", "auditd resuming logging, sending auid=? pid=? subj=? res=success", "1008/9"],
    ["CONFIG_CHANGE", "op=set audit_enabled=0 old=1 auid=1000 ses=4 res=1", "1008/10"],
    ["CONFIG_CHANGE", "audit_enabled=1 old=0 auid=1000 ses=4 res=1", "1008/9"],
    ["CONFIG_CHANGE", "audit_enabled=2 old=1 auid=1000 ses=4 res=1", "0/99"],
    ["CONFIG_CHANGE", "audit_backlog_limit=64 old=8192 auid=1000 ses=4 res=1", "0/99"],
    ["CONFIG_CHANGE", 'op=remove_rule key="x" list=4 auid=1000 ses=4 res=1', "0/99"],
  ] as const) {
    const event = await eventOf(`${type} ${body}`);
    assert.deepEqual([body, uid(event)], [body, expected]);
    if (event["class_uid"] === 1008) assert.deepEqual([event["log_name"], event["log_provider"]], ["audit", "auditd"]);
  }
  const ended = await eventOf("DAEMON_END op=terminate auid=1000 uid=0 ses=4 pid=20 res=success");
  assert.deepEqual(
    [ended["actor"], ended["status_id"]],
    [{ process: { pid: 20, user: { uid: "0" } }, user: { uid: "1000" }, session: { uid: "4" } }, 1],
  );
  const off = await eventOf("CONFIG_CHANGE op=set audit_enabled=0 old=1 auid=1000 ses=4 res=0", syscall(44));
  assert.deepEqual([uid(off), off["status_id"], off["actor"].process.pid, off["actor"].user.uid], ["1008/10", 2, 20, "1000"]);
});
