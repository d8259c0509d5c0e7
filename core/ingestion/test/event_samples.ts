// Why: tests of schema, normaliser and readers need small valid events. Synthetic; nothing here is anyone's data (ING-9).

/** A JSON object. */
export type Json = Record<string, unknown>;

/** Fields of every event; `extra` comes on top. */
export function baseEvent(classUid: number, categoryUid: number, extra: Json = {}): Json {
  return {
    activity_id: 1,
    category_uid: categoryUid,
    class_uid: classUid,
    type_uid: classUid * 100 + 1,
    severity_id: 1,
    time: 1_700_000_000_000,
    metadata: { version: "1.9.0", product: { name: "test", vendor_name: "RansomEye" } },
    ...extra,
  };
}

const device: Json = { hostname: "ws-7", type_id: 2 };
const actor: Json = { process: { pid: 4, name: "System" }, user: { name: "ann" } };

/** One valid event of every class of the subset. */
export const sampleEvents: readonly Json[] = [
  baseEvent(0, 0, { unmapped: { anything: [1, { deep: true }] } }),
  baseEvent(1001, 1, {
    device,
    actor,
    file: { name: "a.doc", path: "C:\\a.doc", type_id: 1, hashes: [{ algorithm_id: 3, value: "AB".repeat(32) }] },
  }),
  baseEvent(1005, 1, { device, actor, module: { load_type_id: 1, file: { name: "x.dll", path: "C:\\x.dll", type_id: 1 } } }),
  baseEvent(1006, 1, { device, job: { name: "\\Updater" } }),
  baseEvent(1007, 1, { device, actor, process: { pid: 77, name: "ping.exe", cmd_line: "ping -n 3 192.0.2.1", user: { name: "bob" } } }),
  baseEvent(201_001, 1, { device, actor, reg_key: { path: "HKLM\\Software\\X" } }),
  baseEvent(201_002, 1, { device, actor, reg_value: { path: "HKLM\\Software\\X", name: "Run" } }),
  baseEvent(2004, 2, {
    finding_info: { uid: "2001219", title: "Potential scan" },
    evidences: [{ src_endpoint: { ip: "2001:DB8::1", port: 4904 }, dst_endpoint: { ip: "192.0.2.9", port: 22 } }],
  }),
  baseEvent(3002, 3, { device, user: { name: "carol" }, src_endpoint: { ip: "::ffff:192.0.2.4" } }),
  baseEvent(4001, 4, {
    src_endpoint: { ip: "192.0.2.1", port: 40_000 },
    dst_endpoint: { ip: "192.0.2.2", port: 443 },
    traffic: { bytes_in: 1 },
  }),
  baseEvent(4002, 4, { http_request: { http_method: "GET", url: { hostname: "Example.ORG.", path: "/" } }, http_response: { code: 200 } }),
  baseEvent(4003, 4, { query: { hostname: "Example.COM.", type: "A" }, answers: [{ rdata: "192.0.2.2", type: "A" }] }),
  baseEvent(4005, 4, { src_endpoint: { ip: "192.0.2.1" }, protocol_ver: "10" }),
  baseEvent(4006, 4, { command: "SMB2_COMMAND_CREATE", share: "\\\\srv\\c$" }),
  baseEvent(4007, 4, { protocol_ver: "2.0" }),
  baseEvent(1002, 1, { device, actor, driver: { file: { name: "nf_tables.ko", type_id: 1 } } }),
  baseEvent(1003, 1, { device, actor, kernel: { name: "bpf", type_id: 2, system_call: "bpf" } }),
  baseEvent(1004, 1, { device, actor, process: { pid: 77, name: "lsass.exe" }, base_address: "0x7ff0", size: 4096 }),
  baseEvent(1008, 1, { device, log_name: "Security" }),
  baseEvent(3006, 3, { device, group: { name: "wheel" }, users: [{ name: "carol" }] }),
  baseEvent(3007, 3, { device, user: { name: "carol" }, src_endpoint: { ip: "192.0.2.4" } }),
];

/** A payload of these lines, each ended by a line feed. */
export function payloadOf(lines: readonly (string | Json)[]): Buffer {
  return Buffer.from(lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join(""));
}
