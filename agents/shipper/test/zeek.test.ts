// Why: Zeek's logs come in several flavours; each must give the same event.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Event, eventOf, readAll } from "./helpers.ts";

const dotted = { "id.orig_h": "192.0.2.4", "id.orig_p": 64_842, "id.resp_h": "192.0.2.53", "id.resp_p": 53 };
const base = { ts: 1_588_205_198.89971, uid: "Cw1Hz43", ...dotted };

const uid = (event: Event): string => `${event["class_uid"]}/${event["activity_id"]}`;

test("conn: dotted, underscored and nested ends, epoch and ISO times give the same event", async () => {
  const rest = {
    uid: "C1",
    proto: "udp",
    service: "dns",
    duration: 0.0016,
    orig_bytes: 39,
    resp_bytes: 55,
    conn_state: "SF",
    orig_pkts: 1,
    resp_pkts: 1,
    missed_bytes: 0,
    history: "Dd",
  };
  const variants = [
    { _path: "conn", ts: 1_588_205_198.89971, ...dotted, ...rest },
    {
      "@stream": "conn",
      ts: "2020-04-30T00:06:38.899710Z",
      id_orig_h: "192.0.2.4",
      id_orig_p: 64_842,
      id_resp_h: "192.0.2.53",
      id_resp_p: 53,
      ...rest,
    },
    { ts: 1_588_205_198.89971, id: { orig_h: "192.0.2.4", orig_p: 64_842, resp_h: "192.0.2.53", resp_p: 53 }, ...rest },
  ];
  const events = await Promise.all(variants.map((record) => eventOf(record)));
  for (const { event, row } of events) {
    assert.deepEqual(
      [uid(event), row.srcIp, row.srcPort, row.dstIp, row.dstPort, row.eventTimeUs],
      ["4001/2", "192.0.2.4", 64_842, "192.0.2.53", 53, 1_588_205_198_899_710],
    );
    assert.deepEqual(event["traffic"], { bytes_out: 39, bytes_in: 55, packets_out: 1, packets_in: 1, bytes_missed: 0 });
    assert.deepEqual(
      [event["duration"], event["unmapped"], event["connection_info"].flag_history, event["metadata"].log_name],
      [2, { duration: 0.0016 }, "Dd", "conn"],
    );
  }
});

test("dns: name, answers with times to live, code, flags", async () => {
  const { event, row } = await eventOf({
    ...base,
    trans_id: 8564,
    query: "NewYork.Example.",
    qtype_name: "A",
    rcode: 3,
    rcode_name: "NXDOMAIN",
    AA: true,
    TC: false,
    RD: true,
    RA: false,
    answers: ["192.0.2.9", "b.example"],
    TTLs: [3600.0, 5],
    rejected: false,
  });
  assert.deepEqual(
    [uid(event), row.domain, event["answers"], event["rcode_id"], event["flag_ids"]],
    [
      "4003/6",
      "newyork.example",
      [
        { rdata: "192.0.2.9", ttl: 3600 },
        { rdata: "b.example", ttl: 5 },
      ],
      3,
      [1, 3],
    ],
  );
});

test("http, ssl, ssh, rdp, dce_rpc", async () => {
  const http = await eventOf({
    ...base,
    trans_depth: 1,
    method: "OPTIONS",
    host: "a.example",
    uri: "/x",
    request_body_len: 0,
    status_code: 403,
    status_msg: "Forbidden",
    response_body_len: 9,
    tags: [],
  });
  assert.deepEqual(
    [uid(http.event), http.row.domain, http.event["http_response"]],
    ["4002/5", "a.example", { code: 403, status: "Forbidden", body_length: 9 }],
  );
  const ssl = await eventOf({
    ...base,
    version: "TLSv12",
    cipher: "X",
    server_name: "B.example",
    established: true,
    ja3: "AB",
    resumed: false,
  });
  assert.deepEqual([uid(ssl.event), ssl.row.domain, ssl.event["tls"].ja3_hash.value], ["4001/1", "b.example", "ab"]);
  assert.equal(uid((await eventOf({ ...base, _path: "ssl", established: false })).event), "4001/4");
  assert.equal(uid((await eventOf({ ...base, auth_attempts: 1, auth_success: false, version: 2 })).event), "4007/6");
  assert.equal((await eventOf({ ...base, security_protocol: "HYBRID", cookie: "ann" })).event["identifier_cookie"], "ann");
  const rpc = await eventOf({ ...base, endpoint: "drsuapi", operation: "DRSBind", named_pipe: "49667" });
  assert.deepEqual([uid(rpc.event), rpc.event["app_protocol_name"], rpc.event["unmapped"].operation], ["4001/6", "dce_rpc", "DRSBind"]);
});

test("files: the sender is the source, hashes are kept, the carrier chooses the class", async () => {
  const file = {
    ts: 1.5,
    fuid: "F1",
    tx_hosts: ["192.0.2.1"],
    rx_hosts: ["192.0.2.2"],
    seen_bytes: 22,
    total_bytes: 22,
    filename: "a\\gpt.ini",
    mime_type: "text/ini",
    md5: "AA",
    sha256: "CD".repeat(32),
  };
  const smb = await eventOf({ ...file, source: "SMB" });
  assert.deepEqual(
    [uid(smb.event), smb.row.srcIp, smb.row.dstIp, smb.row.filePath, smb.row.fileSha256?.toString("hex")],
    ["4006/99", "192.0.2.1", "192.0.2.2", "a\\gpt.ini", "cd".repeat(32)],
  );
  assert.equal(uid((await eventOf({ ...file, source: "HTTP" })).event), "4002/99");
  const ssl = await eventOf({ ...file, source: "SSL" });
  assert.deepEqual([uid(ssl.event), ssl.event["unmapped"].filename], ["4001/6", "a\\gpt.ini"]);
});

test("smb_files and smb_mapping", async () => {
  const open = await eventOf({
    ...base,
    action: "SMB::FILE_OPEN",
    path: "\\\\dc\\sysvol",
    name: "x\\gpt.ini",
    size: 22,
    times_modified: 1.5,
  });
  assert.deepEqual([uid(open.event), open.event["share"], open.row.filePath], ["4006/2", "\\\\dc\\sysvol", "x\\gpt.ini"]);
  const tree = await eventOf({ ...base, path: "\\\\dc\\IPC$", share_type: "PIPE" });
  assert.deepEqual([uid(tree.event), tree.event["share_type_id"]], ["4006/99", 2]);
});

test("kerberos and ntlm name who authenticated; without a name they are network activity", async () => {
  const krb = await eventOf({
    ...base,
    request_type: "TGS",
    client: "ann/EXAMPLE.ORG",
    service: "cifs/dc",
    success: false,
    error_msg: "KDC_ERR",
  });
  assert.deepEqual(
    [uid(krb.event), krb.row.userName, krb.event["user"].domain, krb.event["status_id"], krb.event["status_detail"]],
    ["3002/4", "ann", "EXAMPLE.ORG", 2, "KDC_ERR"],
  );
  assert.equal(uid((await eventOf({ ...base, "@stream": "kerberos" })).event), "4001/6");
  const ntlm = await eventOf({ ...base, username: "bob", domainname: "D", success: true, hostname: "WS" });
  assert.deepEqual([uid(ntlm.event), ntlm.row.userName, ntlm.event["status_id"]], ["3002/1", "bob", 1]);
});

test("notices are findings; weird, x509, pe and unknown logs are kept whole", async () => {
  const notice = await eventOf({ ...base, note: "SSL::Invalid_Server_Cert", msg: "self signed", actions: ["Notice::ACTION_LOG"] });
  assert.deepEqual([uid(notice.event), notice.row.message, notice.row.dstIp], ["2004/1", "SSL::Invalid_Server_Cert", "192.0.2.53"]);
  const weird = await eventOf({ ts: 2.5, name: "ip_hdr_len_zero", notice: false, peer: "zeek" });
  assert.deepEqual([uid(weird.event), weird.row.message, weird.event["activity_name"]], ["0/99", "ip_hdr_len_zero", "weird"]);
  assert.equal(uid((await eventOf({ ...base, name: "w", notice: false, peer: "zeek" })).event), "4001/99");
  const x509 = await eventOf({ ts: 2.5, id: "F1", certificate_serial: "06", certificate_subject: "CN=x" });
  assert.deepEqual(
    [uid(x509.event), x509.event["unmapped"]],
    ["0/99", { id: "F1", certificate_serial: "06", certificate_subject: "CN=x" }],
  );
  const own = await eventOf({ _path: "our_log", ts: 2.5, x: 1 });
  assert.deepEqual([uid(own.event), own.event["activity_name"], own.event["unmapped"]], ["0/99", "our_log", { x: 1 }]);
  assert.equal(uid((await eventOf({ ts: 1.5, event: "smtp_reply", args: { c: {} } })).event), "0/99");
});

test("the file's name tells the log where the record does not; times before 1970 are times", async () => {
  const { event } = await eventOf({ ts: "1969-12-31T23:59:59.600000Z", gap: 1 }, { name: "logs/capture_loss.2020-01-01.log.gz" });
  assert.deepEqual([event["metadata"].log_name, event["time"], event["time_dt"]], ["capture_loss", -400, undefined]);
  const items = await readAll('{"_path":"conn","ts":"XXXX"}\n{"_path":"conn","ts":1e300}\n');
  assert.deepEqual(
    items.map((item) => item.kind === "invalid" && item.code),
    ["SHIP_TIME_MISSING", "SHIP_EVENT_INVALID"],
  );
});
