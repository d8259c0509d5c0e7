// Why: Tetragon carries its event under its kind's name, with the process and its parent in the same words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Event, eventOf, sorted } from "./helpers.ts";

const process = {
  exec_id: "bm9kZTox",
  pid: 12,
  tid: 13,
  uid: 0,
  cwd: "/",
  binary: "/usr/bin/curl",
  arguments: "-s http://x",
  flags: "execve",
  auid: 4_294_967_295,
  start_time: "2022-10-18T03:16:21.373328662Z",
  pod: { namespace: "default", name: "web" },
  cap: { effective: ["CAP_SYS_ADMIN"] },
};
const parent = { exec_id: "bm9kZToy", pid: 1, uid: 1000, binary: "/bin/bash" };
const at = { node_name: "node-1", time: "2022-10-18T03:16:22.225264791Z" };
const uid = (event: Event): string => `${event["class_uid"]}/${event["activity_id"]}`;
const hook = (kind: string, body: object): Promise<{ event: Event }> => eventOf({ [kind]: { process, parent, ...body }, ...at });

test("exec and exit: nanoseconds, execution ids, command line, parent; pods and capabilities are kept", async () => {
  const { event, row } = await eventOf({ process_exec: { process, parent }, ...at });
  assert.deepEqual(
    [uid(event), row.host, row.processPid, row.processName, row.userName, row.message, row.eventTimeUs],
    ["1007/1", "node-1", 12, "curl", "0", "/usr/bin/curl -s http://x", 1_666_062_982_225_264],
  );
  assert.deepEqual(
    [event["process"].uid, event["actor"].process.uid, event["process"].parent_process.pid, event["metadata"].original_time],
    ["bm9kZTox", "bm9kZToy", 1, at.time],
  );
  const { pod, cap, flags, auid, start_time } = process;
  assert.deepEqual(event["unmapped"], { process_exec: { process: { pod, cap, flags, auid, start_time } } });
  const exit = await eventOf({ process_exit: { process, parent, signal: "SIGKILL", status: 137 }, ...at });
  assert.deepEqual([uid(exit.event), exit.event["exit_code"], exit.event["unmapped"].process_exit.signal], ["1007/2", 137, "SIGKILL"]);
});

test("an exec without time happened when its process started; other kinds without time are invalid", async () => {
  const { row } = await eventOf({ process_exec: { process, parent }, node_name: "n" });
  assert.equal(row.eventTimeUs, 1_666_062_981_373_328);
  const { invalid } = await sorted(`${JSON.stringify({ process_exit: { process, parent }, node_name: "n" })}\n`);
  assert.equal(invalid[0]?.code, "SHIP_TIME_MISSING");
});

test("hooks go to the class of what they were about, and stay whole", async () => {
  const sock = {
    sock_arg: {
      family: "AF_INET",
      protocol: "IPPROTO_TCP",
      saddr: "192.0.2.1",
      daddr: "192.0.2.2",
      sport: 5,
      dport: 443,
      cookie: "18446620944886661120",
    },
  };
  const { event, row } = await eventOf({
    process_kprobe: { process, parent, function_name: "tcp_connect", args: [sock], policy_name: "p" },
    ...at,
  });
  assert.deepEqual([uid(event), row.srcIp, row.dstPort, event["connection_info"].protocol_num], ["4001/1", "192.0.2.1", 443, 6]);
  assert.deepEqual(event["unmapped"].process_kprobe.args, [sock]);
  const file = { file_arg: { path: "/etc/shadow", permission: "-rw-r-----" } };
  for (const [function_name, expected] of [
    ["security_path_unlink", "1001/4"],
    ["vfs_rename", "1001/5"],
    ["__x64_sys_write", "1001/3"],
    ["__x64_sys_read", "1001/2"],
    ["fd_install", "1001/14"],
    ["security_mmap_file", "1001/99"],
  ] as const)
    assert.equal(uid((await hook("process_kprobe", { function_name, args: [{ int_arg: 1 }, file] })).event), expected);
  assert.equal(uid((await hook("process_lsm", { function_name: "file_open", args: [{ path_arg: { path: "/x" } }] })).event), "1001/14");
  const plain = await hook("process_kprobe", { function_name: "commit_creds", args: [{ int_arg: 1 }] });
  assert.deepEqual([uid(plain.event), plain.event["activity_name"], plain.event["actor"].process.pid], ["0/99", "commit_creds", 12]);
  assert.equal(
    (await hook("process_tracepoint", { subsys: "syscalls", event: "sys_enter_ptrace", args: [] })).event["activity_name"],
    "syscalls/sys_enter_ptrace",
  );
  assert.equal((await hook("process_uprobe", { path: "/lib/x.so", symbol: "SSL_write" })).event["activity_name"], "SSL_write");
});

test("hooks on modules and BPF go to the kernel's classes; parameters are no names", async () => {
  const named = { module_arg: { name: "evil", signature_ok: false } };
  const text = (string_arg: string): object => ({ string_arg });
  for (const [function_name, args, expected, name] of [
    ["do_init_module", [named], "1002/1", "evil"],
    ["__x64_sys_finit_module", [{ file_arg: { path: "/root/x.ko" } }, text("debug=1")], "1002/1", "x.ko"],
    ["free_module", [named], "1002/2", "evil"],
    ["__x64_sys_delete_module", [text("evil")], "1002/2", "evil"],
    ["security_kernel_module_request", [text("net-pf-10")], "1002/99", "net-pf-10"],
  ] as const) {
    const { event } = await hook("process_kprobe", { function_name, args });
    assert.deepEqual([function_name, uid(event), event["driver"].file.name], [function_name, expected, name]);
    assert.deepEqual([event["actor"].process.pid, event["unmapped"].process_kprobe.args], [12, args]);
  }
  assert.equal(uid((await hook("process_kprobe", { function_name: "__x64_sys_init_module", args: [text("debug=1")] })).event), "0/99");
  const traced = await hook("process_tracepoint", { subsys: "module", event: "module_load", args: [text("evil")] });
  assert.equal(uid(traced.event), "1002/1");
  for (const [function_name, args, expected, kernel] of [
    ["__x64_sys_bpf", [{ int_arg: 5 }], "1003/4", { name: "bpf", type_id: 2, system_call: "bpf" }],
    ["bpf_check", [{ bpf_attr_arg: { ProgName: "hide" } }], "1003/1", { name: "hide", type_id: 99, type: "BPF program" }],
    ["security_bpf_map_alloc", [{ bpf_map_arg: { MapName: "keys" } }], "1003/1", { name: "keys", type_id: 99, type: "BPF map" }],
  ] as const) {
    const { event } = await hook("process_kprobe", { function_name, args });
    assert.deepEqual([uid(event), event["kernel"]], [expected, kernel]);
  }
});

test("libraries and connections; counters come as texts", async () => {
  const loaded = await hook("process_loader", { path: "/lib/x.so", buildid: "AAE=" });
  assert.deepEqual([uid(loaded.event), loaded.event["module"].file.path], ["1005/1", "/lib/x.so"]);
  const ends = { source_ip: "192.0.2.1", source_port: 1, destination_ip: "192.0.2.2", destination_port: 2, protocol: "TCP" };
  const closed = await hook("process_close", { ...ends, stats: { bytes_sent: "78", bytes_received: "15221" } });
  assert.deepEqual([uid(closed.event), closed.event["traffic"]], ["4001/2", { bytes_out: 78, bytes_in: 15_221 }]);
  const listening = await hook("process_listen", { ip: "0.0.0.0", port: 80, protocol: "TCP" });
  assert.deepEqual([uid(listening.event), listening.event["src_endpoint"]], ["4001/7", { ip: "0.0.0.0", port: 80 }]);
});

test("what has no process, or is not known, is a base event with everything in it", async () => {
  const limited = await eventOf({ rate_limit_info: { number_of_dropped_process_events: "5" }, ...at });
  assert.deepEqual(
    [uid(limited.event), limited.event["unmapped"]],
    ["0/99", { rate_limit_info: { number_of_dropped_process_events: "5" } }],
  );
  const throttled = await eventOf({ process_throttle: { type: "THROTTLE_START", cgroup: "c" }, ...at });
  assert.deepEqual([throttled.event["activity_name"], throttled.event["unmapped"].process_throttle.cgroup], ["process_throttle", "c"]);
  const later = await hook("process_of_next_year", { x: 1 });
  assert.deepEqual([uid(later.event), later.event["actor"].process.pid, later.event["unmapped"].process_of_next_year.x], ["0/99", 12, 1]);
  const counted = await eventOf({ process_exit: { process }, ...at, aggregation_info: { count: "18" } });
  assert.equal(counted.event["count"], 18);
});
