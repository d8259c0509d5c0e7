// Why: each Zeek log has its own fields, and an OCSF class that suits it best.
// Enforces: one reader a log, each taking only what its class has a place for.
// Forbids: addresses and time, which are alike for all of them.

import { type Fields, type Json, some, toInteger } from "../json.ts";
import { baseName, domainText, fileAt, fingerprint, fingerprints, httpActivity, ipText, rcodeId, urlOf } from "../ocsf_parts.ts";

/** Class, activity and fields of a record; severity where it is not informational. */
export interface ZeekPart {
  readonly classUid: number;
  readonly activityId: number;
  readonly activityName?: string | undefined;
  readonly severityId?: number;
  readonly fields: Json;
}

const open = 1;
const close = 2;
const reset = 3;
const fail = 4;
const refuse = 5;
const traffic = 6;

/** Zeek's summary of a connection as OCSF's activity. */
const connStates: Readonly<Record<string, number>> = {
  SF: close,
  S1: open,
  REJ: refuse,
  S0: fail,
  SH: fail,
  SHR: fail,
  RSTO: reset,
  RSTR: reset,
  RSTOS0: reset,
  RSTRH: reset,
};

function conn(record: Fields): ZeekPart {
  const state = record.text("conn_state");
  const seconds = record.peek("duration");
  return {
    classUid: 4001,
    activityId: connStates[state ?? ""] ?? traffic,
    fields: {
      app_protocol_name: record.text("service"),
      status_code: state,
      // The exact duration stays in unmapped: OCSF counts milliseconds.
      duration: typeof seconds === "number" ? Math.round(seconds * 1000) : undefined,
      traffic: some({
        bytes_out: record.integer("orig_bytes"),
        bytes_in: record.integer("resp_bytes"),
        packets_out: record.integer("orig_pkts"),
        packets_in: record.integer("resp_pkts"),
        bytes_missed: record.integer("missed_bytes"),
      }),
    },
  };
}

const dnsFlags = ["AA", "TC", "RD", "RA"] as const;

function dns(record: Fields): ZeekPart {
  const name = record.text("query");
  const answers = record.texts("answers");
  const times = record.peek("TTLs");
  const ttls = Array.isArray(times) ? times.map((ttl) => toInteger(ttl)) : [];
  if (answers !== undefined && Array.isArray(times) && ttls.length === answers.length && !ttls.includes(undefined)) record.take("TTLs");
  const rcode = record.text("rcode_name");
  const code = record.peek("rcode");
  // The bits stay in unmapped: OCSF lists those that are set, Zeek also says which are not.
  const flagIds = dnsFlags.flatMap((flag, i) => (record.peek(flag) === true ? [i + 1] : []));
  return {
    classUid: 4003,
    activityId: traffic,
    fields: {
      query:
        name === undefined ? undefined : { hostname: domainText(name), type: record.text("qtype_name"), class: record.text("qclass_name") },
      answers: answers?.map((rdata, i) => ({ rdata, ttl: ttls[i] })),
      rcode,
      rcode_id: typeof code === "number" && code <= 11 ? record.integer("rcode") : rcodeId(rcode),
      transaction_id: record.integer("trans_id"),
      flag_ids: flagIds.length === 0 ? undefined : flagIds,
    },
  };
}

function http(record: Fields): ZeekPart {
  const method = record.text("method");
  const hostname = record.text("host");
  const code = record.integer("status_code");
  return {
    classUid: 4002,
    activityId: httpActivity(method),
    activityName: method,
    fields: {
      http_request: some({
        http_method: method,
        url: urlOf(record.text("uri"), hostname),
        user_agent: record.text("user_agent"),
        referrer: record.text("referrer"),
        version: record.text("version"),
        body_length: record.integer("request_body_len"),
      }),
      http_response:
        code === undefined ? undefined : { code, status: record.text("status_msg"), body_length: record.integer("response_body_len") },
    },
  };
}

function ssl(record: Fields): ZeekPart {
  const version = record.text("version");
  const sni = domainText(record.text("server_name"));
  const established = record.peek("established");
  const tls = {
    version: version ?? "unknown",
    cipher: record.text("cipher"),
    sni,
    ja3_hash: fingerprint("md5", record.text("ja3")),
    ja3s_hash: fingerprint("md5", record.text("ja3s")),
  };
  return { classUid: 4001, activityId: established === false ? fail : open, fields: { app_protocol_name: "ssl", tls } };
}

const fileClasses: Readonly<Record<string, number>> = { HTTP: 4002, SMB: 4006, SSH: 4007, RDP: 4005 };

/** A file as Zeek saw it pass. The sender is the source: Zeek names hosts that sent and received, not a connection's ends. */
function files(record: Fields, hasEnds: boolean): ZeekPart {
  const source = record.peek("source");
  const classUid = fileClasses[typeof source === "string" ? source : ""];
  // Newer versions name the connection's ends as well; then the lists stay in unmapped.
  const sent = hasEnds ? undefined : ipText(record.onlyText("tx_hosts"));
  const received = hasEnds ? undefined : ipText(record.onlyText("rx_hosts"));
  const ends = {
    ...(sent === undefined ? {} : { src_endpoint: { ip: sent } }),
    ...(received === undefined ? {} : { dst_endpoint: { ip: received } }),
  };
  if (classUid === undefined) return { classUid: 4001, activityId: traffic, fields: ends };
  const path = record.text("filename");
  const uid = record.text("fuid");
  const hashes = fingerprints(
    fingerprint("sha256", record.text("sha256")),
    fingerprint("sha1", record.text("sha1")),
    fingerprint("md5", record.text("md5")),
  );
  const file = {
    name: path === undefined ? (uid ?? "unknown") : baseName(path),
    path,
    uid,
    type_id: 1,
    mime_type: record.text("mime_type"),
    size: record.integer("total_bytes"),
    hashes,
  };
  return { classUid, activityId: classUid === 4007 ? traffic : 99, activityName: "file", fields: { ...ends, file } };
}

const smbActions: Readonly<Record<string, number>> = { "SMB::FILE_OPEN": 2 };

function smbFiles(record: Fields): ZeekPart {
  const action = record.word("action");
  return {
    classUid: 4006,
    activityId: smbActions[action ?? ""] ?? 99,
    activityName: action ?? "smb_files",
    fields: {
      file: record.attempt(() => fileAt(record.text("name"), { size: record.integer("size"), uid: record.text("fuid") })),
      share: record.text("path"),
    },
  };
}

const shareTypes: Readonly<Record<string, number>> = { DISK: 1, PIPE: 2, PRINT: 3 };

function smbMapping(record: Fields): ZeekPart {
  const type = record.text("share_type");
  return {
    classUid: 4006,
    activityId: 99,
    activityName: "tree connect",
    fields: { share: record.text("path"), share_type: type, share_type_id: type === undefined ? 0 : (shareTypes[type] ?? 99) },
  };
}

function status(record: Fields, name: string): Json {
  const success = record.flag(name);
  return success === undefined ? {} : { status_id: success ? 1 : 2 };
}

/** An authentication names somebody; without a client the record is plain network activity. */
function kerberos(record: Fields): ZeekPart | undefined {
  const client = record.text("client");
  if (client === undefined) return undefined;
  const cut = client.lastIndexOf("/");
  const service = record.text("service");
  const type = record.word("request_type");
  return {
    classUid: 3002,
    activityId: type === "AS" ? 3 : type === "TGS" ? 4 : 99,
    activityName: type ?? "kerberos",
    fields: {
      user: cut > 0 ? { name: client.slice(0, cut), domain: client.slice(cut + 1) } : { name: client },
      service: service === undefined ? undefined : { name: service },
      auth_protocol: "Kerberos",
      auth_protocol_id: 2,
      status_detail: record.text("error_msg"),
      ...status(record, "success"),
    },
  };
}

function ntlm(record: Fields): ZeekPart | undefined {
  const name = record.text("username");
  if (name === undefined) return undefined;
  return {
    classUid: 3002,
    activityId: 1,
    fields: { user: { name, domain: record.text("domainname") }, auth_protocol: "NTLM", auth_protocol_id: 1, ...status(record, "success") },
  };
}

function ssh(record: Fields): ZeekPart {
  return { classUid: 4007, activityId: traffic, fields: { protocol_ver: record.text("version"), ...status(record, "auth_success") } };
}

function rdp(record: Fields): ZeekPart {
  return {
    classUid: 4005,
    activityId: traffic,
    fields: { identifier_cookie: record.text("cookie"), protocol_ver: record.text("client_build"), status_detail: record.text("result") },
  };
}

function notice(record: Fields): ZeekPart {
  const note = record.text("note") ?? "notice";
  const text = record.text("msg");
  return {
    classUid: 2004,
    activityId: 1,
    severityId: 3,
    fields: { finding_info: { uid: note, title: note, desc: text, analytic: { type_id: 1, name: note } }, message: text },
  };
}

/** What happened without anybody meaning it to: shown by its name. */
function weird(record: Fields, hasEnds: boolean): ZeekPart {
  const name = record.text("name");
  return { classUid: hasEnds ? 4001 : 0, activityId: 99, activityName: "weird", fields: { message: name } };
}

/** Readers by log; what is not here is network activity if it has addresses, else a base event. A reader may leave a record to that. */
export const zeekParts: Readonly<Record<string, (record: Fields, hasEnds: boolean) => ZeekPart | undefined>> = {
  conn,
  dns,
  http,
  ssl,
  files,
  smb_files: smbFiles,
  smb_mapping: smbMapping,
  kerberos,
  ntlm,
  ssh,
  rdp,
  notice,
  weird,
};
