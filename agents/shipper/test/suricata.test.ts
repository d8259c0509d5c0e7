// Why: what a probe saw must be found by address, name and hash, and an alert must read as a finding.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readAll } from "./helpers.ts";
import { eventOf, type Event } from "./helpers.ts";

const base = {
  timestamp: "2024-04-25T03:06:32.258446+0530",
  flow_id: 1_959_620_435_402_694,
  in_iface: "eth0",
  src_ip: "192.0.2.1",
  src_port: 39_952,
  dest_ip: "2001:DB8::2",
  dest_port: 80,
  proto: "TCP",
  community_id: "1:abc=",
};

const uid = (event: Event): string => `${event["class_uid"]}/${event["activity_id"]}`;

test("an alert is a finding with the connection and its protocol as evidence", async () => {
  const { event, row } = await eventOf({
    ...base,
    event_type: "alert",
    app_proto: "http",
    alert: {
      action: "allowed",
      gid: 1,
      signature_id: 2_013_504,
      rev: 6,
      signature: "ET POLICY test",
      category: "Not Suspicious",
      severity: 3,
      metadata: { a: ["b"] },
    },
    http: { hostname: "Example.ORG", url: "/a?b=c", http_method: "GET", protocol: "HTTP/1.1", status: 200, length: 5 },
  });
  assert.deepEqual(
    [uid(event), event["severity_id"], event["finding_info"].uid, row.message, row.srcIp, row.dstIp, row.dstPort, row.domain],
    ["2004/1", 2, "1:2013504:6", "ET POLICY test", "192.0.2.1", "2001:db8::2", 80, "example.org"],
  );
  assert.equal(row.eventTimeUs, Date.UTC(2024, 3, 24, 21, 36, 32) * 1000 + 258_446);
  assert.deepEqual(event["evidences"][0].http_request.url, { path: "/a", query_string: "b=c", hostname: "example.org" });
  assert.deepEqual(event["unmapped"].alert, { action: "allowed", severity: 3, metadata: { a: ["b"] } });
  assert.equal(event["unmapped"].app_proto, "http");
});

test("DNS of every version: query and answer, asked name, answers, code", async () => {
  const query = await eventOf({ ...base, event_type: "dns", dns: { type: "query", id: 7, rrname: "WWW.Example.org", rrtype: "A" } });
  assert.deepEqual(
    [uid(query.event), query.row.domain, query.event["transaction_id"], query.event["query"].type],
    ["4003/1", "www.example.org", 7, "A"],
  );
  const v1 = await eventOf({
    ...base,
    event_type: "dns",
    dns: { type: "answer", id: 7, rrname: "a.example", rrtype: "A", rcode: "NOERROR", ttl: 60, rdata: "192.0.2.9" },
  });
  assert.deepEqual([uid(v1.event), v1.event["answers"], v1.event["rcode_id"]], ["4003/2", [{ rdata: "192.0.2.9", ttl: 60 }], 0]);
  const v2 = await eventOf({
    ...base,
    event_type: "dns",
    dns: {
      version: 2,
      type: "answer",
      rrname: "a.example",
      rrtype: "SOA",
      rcode: "NXDOMAIN",
      answers: [
        { rrname: "a.example", rrtype: "A", ttl: 5, rdata: "192.0.2.8" },
        { rrtype: "SOA", soa: {} },
      ],
      flags: "8180",
    },
  });
  assert.deepEqual(
    [v2.event["answers"], v2.event["rcode_id"], v2.event["unmapped"].dns.answers.length],
    [[{ rdata: "192.0.2.8", type: "A", ttl: 5 }], 3, 2],
  );
  const v3 = await eventOf({
    ...base,
    event_type: "dns",
    dns: { version: 3, type: "request", queries: [{ rrname: "c.example", rrtype: "MX" }] },
  });
  assert.deepEqual([uid(v3.event), v3.row.domain], ["4003/1", "c.example"]);
});

test("HTTP, TLS, SSH, RDP and SMB go to their classes", async () => {
  const http = await eventOf({
    ...base,
    event_type: "http",
    http: {
      hostname: "a.example",
      url: "http://a.example/x",
      http_method: "PROPFIND",
      http_user_agent: "curl",
      http_refer: "/r",
      http_content_type: "text/html",
    },
  });
  assert.deepEqual(
    [uid(http.event), http.event["activity_name"], http.row.message, http.event["http_response"]],
    ["4002/99", "PROPFIND", "http://a.example/x", undefined],
  );
  const tls = await eventOf({
    ...base,
    event_type: "tls",
    tls: {
      sni: "B.example",
      version: "TLS 1.3",
      subject: "CN=b",
      issuerdn: "CN=ca",
      serial: "00:01",
      fingerprint: "AA:BB",
      ja3: { hash: "AB", string: "771" },
      notbefore: "2020",
    },
  });
  assert.deepEqual(
    [uid(tls.event), tls.row.domain, tls.event["tls"].certificate.fingerprints[0].value, tls.event["unmapped"].tls],
    ["4001/6", "b.example", "aabb", { ja3: { string: "771" }, notbefore: "2020" }],
  );
  const bare = await eventOf({ ...base, event_type: "tls", tls: { sni: "c.example" } });
  assert.equal(bare.row.domain, "c.example");
  const ssh = await eventOf({
    ...base,
    event_type: "ssh",
    ssh: { client: { proto_version: "2.0", software_version: "OpenSSH" }, server: {} },
  });
  assert.deepEqual(
    [uid(ssh.event), ssh.event["protocol_ver"], ssh.event["unmapped"].ssh.client],
    ["4007/6", "2.0", { software_version: "OpenSSH" }],
  );
  const rdp = await eventOf({ ...base, event_type: "rdp", rdp: { tx_id: 0, event_type: "connect_request", cookie: "ann" } });
  assert.deepEqual([uid(rdp.event), rdp.event["identifier_cookie"]], ["4005/3", "ann"]);
  const smb = await eventOf({
    ...base,
    event_type: "smb",
    smb: {
      command: "SMB2_COMMAND_CREATE",
      dialect: "2.10",
      status: "STATUS_SUCCESS",
      filename: "share\\x.exe",
      disposition: "FILE_OPEN",
      tree_id: 1,
    },
  });
  assert.deepEqual([uid(smb.event), smb.row.filePath, smb.event["tree_uid"]], ["4006/2", "share\\x.exe", "1"]);
});

test("files go to the class of their protocol, with hashes", async () => {
  const sha256 = "AB".repeat(32);
  const http = await eventOf({
    ...base,
    event_type: "fileinfo",
    app_proto: "http",
    http: { hostname: "a.example", url: "/x.exe" },
    fileinfo: { filename: "/x.exe", size: 3, sha256, state: "CLOSED" },
  });
  assert.deepEqual(
    [uid(http.event), http.row.fileSha256?.toString("hex"), http.row.filePath, http.row.domain],
    ["4002/0", "ab".repeat(32), "/x.exe", "a.example"],
  );
  const ftp = await eventOf({ ...base, event_type: "fileinfo", app_proto: "ftp-data", fileinfo: { filename: "x", sha256 } });
  assert.deepEqual([uid(ftp.event), ftp.event["unmapped"].fileinfo.filename], ["4001/6", "x"]);
});

test("flows and netflows carry counters and times", async () => {
  for (const type of ["flow", "netflow"]) {
    const { event } = await eventOf({
      ...base,
      event_type: type,
      [type]: {
        pkts_toserver: 1,
        pkts_toclient: 2,
        bytes_toserver: 3,
        bytes_toclient: 4,
        start: "2024-04-25T03:06:02.353699+0530",
        end: "2024-04-25T03:06:02.353700+0530",
        age: 0,
        state: "new",
      },
    });
    assert.deepEqual(
      [uid(event), event["traffic"], event["start_time"]],
      ["4001/6", { bytes_out: 3, bytes_in: 4, packets_out: 1, packets_in: 2 }, Date.UTC(2024, 3, 24, 21, 36, 2, 353)],
    );
    assert.equal(event["unmapped"][type].start, "2024-04-25T03:06:02.353699+0530");
  }
});

test("Kerberos names who authenticated; without a name it is network activity", async () => {
  const ticket = await eventOf({
    ...base,
    event_type: "krb5",
    krb5: { msg_type: "KRB_TGS_REP", cname: "ann", realm: "EXAMPLE", sname: "cifs/x", encryption: "aes" },
  });
  assert.deepEqual(
    [uid(ticket.event), ticket.row.userName, ticket.event["status_id"], ticket.event["service"].name],
    ["3002/4", "ann", 1, "cifs/x"],
  );
  const failed = await eventOf({ ...base, event_type: "krb5", krb5: { msg_type: "KRB_ERROR", cname: "ann", error_code: "KDC_ERR" } });
  assert.deepEqual([uid(failed.event), failed.event["status_id"]], ["3002/99", 2]);
  assert.equal(
    uid((await eventOf({ ...base, event_type: "krb5", krb5: { msg_type: "KRB_AS_REQ", cname: "<empty>".slice(0, 0) } })).event),
    "4001/6",
  );
});

test("unknown types with addresses are network activity, without any base events", async () => {
  const dhcp = await eventOf({ ...base, event_type: "dhcp", dhcp: { type: "reply" }, host: "probe-1" });
  assert.deepEqual(
    [uid(dhcp.event), dhcp.event["metadata"].event_code, dhcp.event["metadata"].reporter, dhcp.event["unmapped"].dhcp],
    ["4001/6", "dhcp", { hostname: "probe-1" }, { type: "reply" }],
  );
  const stats = await eventOf({ timestamp: "2024-01-01T00:00:00", event_type: "stats", stats: { uptime: 1 } });
  assert.deepEqual([uid(stats.event), stats.event["activity_name"], stats.event["unmapped"]], ["0/99", "stats", { stats: { uptime: 1 } }]);
});

test("FMT-14 a timestamp with any offset is that instant; one without is UTC, to the microsecond", async () => {
  for (const [timestamp, us] of [
    ["2024-04-25T03:06:32.258446+0530", Date.UTC(2024, 3, 24, 21, 36, 32) * 1000 + 258_446],
    ["2024-04-25T03:06:32.258446-07:00", Date.UTC(2024, 3, 25, 10, 6, 32) * 1000 + 258_446],
    ["2024-04-25T03:06:32.258446", Date.UTC(2024, 3, 25, 3, 6, 32) * 1000 + 258_446],
    ["2024-04-25T03:06:32", Date.UTC(2024, 3, 25, 3, 6, 32) * 1000],
  ] as const) {
    const { event, row } = await eventOf({ ...base, timestamp, event_type: "flow", flow: { pkts_toserver: 1 } });
    assert.deepEqual([row.eventTimeUs, event["metadata"].original_time], [us, timestamp]);
  }
});

test("a record without time is invalid, odd values stay in unmapped", async () => {
  const { timestamp: _, ...timeless } = base;
  const items = await readAll(`${JSON.stringify({ ...timeless, event_type: "smb" })}\n`);
  assert.equal(items[0]?.kind === "invalid" && items[0].code, "SHIP_TIME_MISSING");
  const { event, row } = await eventOf({
    ...base,
    event_type: "http",
    src_ip: "not an address",
    src_port: "eighty",
    http: { status: "OK", url: 5, hostname: [] },
  });
  assert.deepEqual(
    [uid(event), event["unmapped"].src_port, event["unmapped"].http, row.srcIp],
    ["4002/0", "eighty", { status: "OK", hostname: [] }, null],
  );
});
