// Why: each protocol that Suricata parses has an OCSF class of its own, or none.
// Enforces: one reader a protocol, each taking only what its class has a place for.
// Forbids: addresses and time, which are alike for all of them.

import { asObject, type Fields, type Json, some } from "../json.ts";
import { baseName, domainText, fileAt, fingerprint, fingerprints, httpActivity, rcodeId, urlOf } from "../ocsf_parts.ts";

/** Class, activity and fields of a record. */
export interface Part {
  readonly classUid: number;
  readonly activityId: number;
  readonly activityName?: string | undefined;
  readonly fields: Json;
}

/** OCSF's network activity "traffic". */
const traffic = 6;

function httpFields(http: Fields): Json {
  const hostname = http.text("hostname");
  const status = http.integer("status");
  const method = http.text("http_method");
  return {
    http_request: some({
      http_method: method,
      url: http.attempt(() => urlOf(http.text("url"), hostname, http.integer("http_port"))),
      user_agent: http.text("http_user_agent"),
      referrer: http.text("http_refer"),
      version: http.text("protocol"),
    }),
    http_response:
      status === undefined ? undefined : { code: status, content_type: http.text("http_content_type"), length: http.integer("length") },
  };
}

function httpPart(record: Fields): Part {
  const http = record.nested("http");
  const method = http.word("http_method");
  return { classUid: 4002, activityId: httpActivity(method), activityName: method, fields: httpFields(http) };
}

/** One answer; undefined where its data is no text (SOA and others are objects). */
function answerOf(value: unknown): Json | undefined {
  const answer = asObject(value);
  if (answer === undefined || typeof answer["rdata"] !== "string") return undefined;
  const ttl = answer["ttl"];
  return {
    rdata: answer["rdata"],
    type: typeof answer["rrtype"] === "string" ? answer["rrtype"] : undefined,
    ttl: Number.isInteger(ttl) ? ttl : undefined,
  };
}

function queryOf(name: unknown, type: unknown): Json | undefined {
  return typeof name === "string" ? { hostname: domainText(name), type: typeof type === "string" ? type : undefined } : undefined;
}

function dnsPart(record: Fields): Part {
  const dns = record.nested("dns");
  const kind = dns.peek("type");
  const version1 = dns.text("rdata");
  const list = dns.peek("answers");
  const answers =
    version1 !== undefined ? [answerOf({ rdata: version1, ttl: dns.integer("ttl") })] : Array.isArray(list) ? list.map(answerOf) : [];
  const known = answers.filter((answer) => answer !== undefined);
  // Version 3 asks in a list of its own.
  const asked = asObject((dns.peek("queries") as readonly unknown[] | undefined)?.[0]);
  const query = dns.attempt(() => queryOf(dns.text("rrname") ?? asked?.["rrname"], dns.text("rrtype") ?? asked?.["rrtype"]));
  const rcode = dns.text("rcode");
  return {
    classUid: 4003,
    activityId: kind === "query" || kind === "request" ? 1 : kind === "answer" || kind === "response" ? 2 : traffic,
    fields: {
      query,
      answers: known.length === 0 ? undefined : known,
      rcode,
      rcode_id: rcodeId(rcode),
      transaction_id: dns.integer("id"),
    },
  };
}

/** The TLS object; undefined without a version, which OCSF requires. */
function tlsFields(tls: Fields): Json {
  const sni = tls.text("sni");
  const version = tls.text("version");
  if (version === undefined) return sni === undefined ? {} : { tls: { version: "unknown", sni: domainText(sni) } };
  const serial = tls.text("serial");
  return {
    tls: {
      version,
      sni: domainText(sni),
      ja3_hash: fingerprint("md5", tls.nested("ja3").text("hash")),
      ja3s_hash: fingerprint("md5", tls.nested("ja3s").text("hash")),
      certificate:
        serial === undefined
          ? undefined
          : {
              serial_number: serial,
              subject: tls.text("subject"),
              issuer: tls.text("issuerdn"),
              fingerprints: fingerprints(fingerprint("sha1", tls.text("fingerprint")?.replaceAll(":", ""))),
            },
    },
  };
}

function tlsPart(record: Fields): Part {
  return { classUid: 4001, activityId: traffic, fields: tlsFields(record.nested("tls")) };
}

function sshPart(record: Fields): Part {
  const client = record.nested("ssh").nested("client");
  return { classUid: 4007, activityId: traffic, fields: { protocol_ver: client.text("proto_version") } };
}

const smbActivities: Readonly<Record<string, number>> = {
  FILE_SUPERSEDE: 1,
  FILE_OPEN: 2,
  FILE_CREATE: 3,
  FILE_OPEN_IF: 4,
  FILE_OVERWRITE: 5,
  FILE_OVERWRITE_IF: 6,
};

function smbPart(record: Fields): Part {
  const smb = record.nested("smb");
  const disposition = smb.text("disposition");
  const command = smb.text("command");
  const status = smb.text("status");
  return {
    classUid: 4006,
    activityId: smbActivities[disposition ?? ""] ?? 99,
    activityName: disposition ?? command ?? "smb",
    fields: {
      command,
      dialect: smb.text("dialect"),
      open_type: disposition,
      file: fileAt(smb.text("filename")),
      share: smb.text("share"),
      share_type: smb.text("share_type"),
      tree_uid: smb.text("tree_id"),
      response: status === undefined ? undefined : { message: status },
    },
  };
}

const rdpActivities: Readonly<Record<string, number>> = {
  initial_request: 1,
  initial_response: 2,
  connect_request: 3,
  connect_response: 4,
  tls_handshake: 5,
};

function rdpPart(record: Fields): Part {
  const rdp = record.nested("rdp");
  const type = rdp.word("event_type");
  return {
    classUid: 4005,
    activityId: rdpActivities[type ?? ""] ?? 99,
    activityName: type ?? "rdp",
    fields: { identifier_cookie: rdp.text("cookie") },
  };
}

/** A ticket without a client's name is no authentication of anybody. */
function krbPart(record: Fields): Part | undefined {
  const krb = record.nested("krb5");
  const name = krb.text("cname");
  if (name === undefined) return undefined;
  const message = krb.word("msg_type");
  const service = krb.text("sname");
  const failed = message === "KRB_ERROR" || krb.peek("failed_request") !== undefined;
  return {
    classUid: 3002,
    activityId: message?.includes("TGS") === true ? 4 : message?.includes("AS") === true ? 3 : 99,
    activityName: message ?? "krb5",
    fields: {
      user: { name, domain: krb.text("realm") },
      service: service === undefined ? undefined : { name: service },
      auth_protocol_id: 2,
      auth_protocol: "Kerberos",
      status_id: failed ? 2 : 1,
      status_code: krb.text("error_code"),
    },
  };
}

const fileClasses: Readonly<Record<string, number>> = { http: 4002, http2: 4002, smb: 4006, ssh: 4007, rdp: 4005 };

/** A file that was carried by a protocol whose class has room for one. */
function fileinfoPart(record: Fields): Part | undefined {
  const protocol = record.word("app_proto") ?? "";
  const classUid = fileClasses[protocol];
  const info = record.nested("fileinfo");
  const path = classUid === undefined ? undefined : info.text("filename");
  if (classUid === undefined || path === undefined) return undefined;
  const file = {
    name: baseName(path),
    path,
    type_id: 1,
    size: info.integer("size"),
    mime_type: info.text("mimetype"),
    hashes: fingerprints(
      fingerprint("sha256", info.text("sha256")),
      fingerprint("sha1", info.text("sha1")),
      fingerprint("md5", info.text("md5")),
    ),
  };
  const http = classUid === 4002 ? httpPart(record) : undefined;
  const smb = classUid === 4006 && record.has("smb") ? smbPart(record) : undefined;
  const carrier = http ?? smb;
  return {
    classUid,
    activityId: carrier?.activityId ?? (classUid === 4007 ? traffic : 99),
    activityName: carrier?.activityName ?? "fileinfo",
    fields: { ...carrier?.fields, file },
  };
}

/** Readers by event type; what is not here is network activity. A reader may find that a record does not suit its class. */
export const protocolParts: Readonly<Record<string, (record: Fields) => Part | undefined>> = {
  http: httpPart,
  dns: dnsPart,
  tls: tlsPart,
  ssh: sshPart,
  smb: smbPart,
  rdp: rdpPart,
  krb5: krbPart,
  fileinfo: fileinfoPart,
};
