// Why: one table says what an event is; the checker, the normaliser's choices and the reference page follow it.
// Enforces: the subset of OCSF that RansomEye knows (architecture part 4), each class with its required and known fields and their types.
// Forbids: knowledge of fields anywhere else in the gate, and classes or fields that OCSF does not have.
//
// Notation: `name!` is required; `thing` names an object of `objects`, `thing[]` a list; `any` is whatever JSON holds.
// Fields that are not listed are kept as they are, never checked and never refused: a newer agent may know more than we do.

/** The released OCSF version that our events name. The subset uses nothing that its successors have withdrawn. */
export const OCSF_VERSION = "1.9.0";

/** Version of this subset, signed in every frame header and negotiated at Hello. Raise it when a rule here becomes stricter. */
export const SCHEMA_VERSION = 1;

/** Fields by name with the notation above. */
export type FieldTable = Readonly<Record<string, string>>;

/** An object of the schema; at least one of `anyOf` must be present where it is given. */
export interface ObjectSpec {
  readonly fields: FieldTable;
  readonly anyOf?: readonly string[];
}

/** A class of events. `categoryUid` and `name` are OCSF's own. */
export interface ClassSpec {
  readonly name: string;
  readonly categoryUid: number;
  readonly fields: FieldTable;
}

const endpointFields: FieldTable = {
  domain: "string", hostname: "string", instance_uid: "string", interface_name: "string", interface_uid: "string", ip: "string",
  mac: "string", name: "string", port: "integer", svc_name: "string", type_id: "integer", uid: "string", vlan_uid: "string", zone: "string",
};

/** The objects that fields may hold. */
export const objects: Readonly<Record<string, ObjectSpec>> = {
  actor: {
    fields: { app_name: "string", app_uid: "string", invoked_by: "string", process: "process", session: "session", user: "user" },
    anyOf: ["app_name", "app_uid", "iam_role", "invoked_by", "process", "session", "user"],
  },
  analytic: { fields: { category: "string", name: "string", type_id: "integer!", uid: "string", version: "string" } },
  certificate: {
    fields: {
      created_time: "integer", expiration_time: "integer", fingerprints: "fingerprint[]", is_self_signed: "boolean", issuer: "string",
      serial_number: "string!", subject: "string", uid: "string", version: "string",
    },
  },
  connection_info: {
    fields: {
      community_uid: "string", direction: "string", direction_id: "integer!", flag_history: "string", protocol_name: "string",
      protocol_num: "integer", protocol_ver_id: "integer", tcp_flags: "integer", uid: "string",
    },
  },
  device: {
    fields: { ...endpointFields, type_id: "integer!" },
    anyOf: ["hostname", "instance_uid", "interface_name", "interface_uid", "ip", "name", "uid"],
  },
  dns_answer: { fields: { class: "string", flag_ids: "integer[]", rdata: "string!", ttl: "integer", type: "string" } },
  dns_query: { fields: { class: "string", hostname: "string!", opcode_id: "integer", type: "string" } },
  endpoint: {
    fields: endpointFields,
    anyOf: ["domain", "hostname", "instance_uid", "interface_name", "interface_uid", "ip", "name", "svc_name", "uid"],
  },
  evidence: {
    fields: {
      actor: "actor", connection_info: "connection_info", data: "any", device: "device", dst_endpoint: "endpoint", file: "file",
      http_request: "http_request", http_response: "http_response", name: "string", process: "process", query: "dns_query",
      src_endpoint: "endpoint", tls: "tls", uid: "string", url: "url", user: "user",
    },
  },
  file: {
    fields: {
      accessed_time: "integer", company_name: "string", created_time: "integer", desc: "string", hashes: "fingerprint[]", mime_type: "string",
      modified_time: "integer", name: "string!", parent_folder: "string", path: "string", security_descriptor: "string", signature: "signature",
      size: "integer", type_id: "integer!", uid: "string", version: "string",
    },
  },
  fingerprint: { fields: { algorithm: "string", algorithm_id: "integer!", value: "string!" } },
  finding_info: {
    fields: {
      analytic: "analytic", attacks: "any[]", created_time: "integer", data_sources: "string[]", desc: "string", first_seen_time: "integer",
      last_seen_time: "integer", title: "string", types: "string[]", uid: "string!",
    },
  },
  http_request: {
    fields: {
      args: "string", body_length: "integer", http_headers: "any[]", http_method: "string", length: "integer", referrer: "string",
      uid: "string", url: "url", user_agent: "string", version: "string", x_forwarded_for: "string[]",
    },
  },
  http_response: {
    fields: { body_length: "integer", code: "integer!", content_type: "string", http_headers: "any[]", length: "integer", message: "string", status: "string" },
  },
  job: {
    fields: { cmd_line: "string", created_time: "integer", desc: "string", file: "file", name: "string", type_id: "integer", uid: "string", user: "user" },
    anyOf: ["name", "type_id"],
  },
  metadata: {
    fields: {
      correlation_uid: "string", event_code: "string", labels: "string[]", log_format: "string", log_level: "string", log_name: "string",
      log_provider: "string", log_source: "string", log_version: "string", logged_time: "integer", original_event_uid: "string",
      original_time: "string", product: "product!", profiles: "string[]", reporter: "reporter", sequence: "integer", tags: "any[]",
      transformation_info_list: "transformation_info[]", uid: "string", version: "string!",
    },
  },
  module: {
    fields: { base_address: "string", file: "file", function_name: "string", load_type: "string", load_type_id: "integer", start_address: "string", type: "string" },
    anyOf: ["function_name", "load_type_id"],
  },
  process: {
    fields: {
      cmd_line: "string", cpid: "string", created_time: "integer", file: "file", integrity: "string", integrity_id: "integer", name: "string",
      parent_process: "process", path: "string", pid: "integer", session: "session", terminated_time: "integer", tid: "integer", uid: "string",
      user: "user", working_directory: "string",
    },
    anyOf: ["cmd_line", "cpid", "name", "path", "pid", "uid"],
  },
  product: { fields: { feature: "any", lang: "string", name: "string", path: "string", uid: "string", url_string: "string", vendor_name: "string", version: "string" } },
  reg_key: { fields: { is_system: "boolean", modified_time: "integer", path: "string!", security_descriptor: "string" } },
  reg_value: { fields: { data: "any", is_default: "boolean", is_system: "boolean", modified_time: "integer", name: "string!", path: "string!", type: "string", type_id: "integer" } },
  reporter: { fields: { hostname: "string", ip: "string", name: "string", org: "any", uid: "string" } },
  response: { fields: { code: "integer", error: "string", error_message: "string", flags: "string[]", message: "string" } },
  service: { fields: { labels: "string[]", name: "string", uid: "string", version: "string" } },
  session: { fields: { created_time: "integer", credential_uid: "string", is_remote: "boolean", issuer: "string", terminal: "string", uid: "string" } },
  signature: { fields: { algorithm: "string", algorithm_id: "integer!", certificate: "certificate", state: "string", state_id: "integer" } },
  tls: {
    fields: {
      certificate: "certificate", certificate_chain: "string[]", cipher: "string", ja3_hash: "fingerprint", ja3s_hash: "fingerprint",
      sans: "any[]", sni: "string", version: "string!",
    },
  },
  traffic: { fields: { bytes: "integer", bytes_in: "integer", bytes_missed: "integer", bytes_out: "integer", packets: "integer", packets_in: "integer", packets_out: "integer" } },
  transformation_info: { fields: { lang: "string", name: "string", product: "product", time: "integer", uid: "string", url_string: "string" } },
  unmapped: { fields: {} },
  url: {
    fields: { domain: "string", hostname: "string", path: "string", port: "integer", query_string: "string", scheme: "string", subdomain: "string", url_string: "string" },
    anyOf: ["path", "url_string"],
  },
  user: {
    fields: { credential_uid: "string", domain: "string", email_addr: "string", full_name: "string", name: "string", type: "string", type_id: "integer", uid: "string", uid_alt: "string" },
    anyOf: ["account", "name", "uid"],
  },
};

/** Fields of every class. `time` is OCSF's: milliseconds since 1970 UTC; `time_dt` (RFC 3339) may refine it to microseconds. */
export const baseFields: FieldTable = {
  activity_id: "integer!", activity_name: "string", actor: "actor", category_name: "string", category_uid: "integer!", class_name: "string",
  class_uid: "integer!", count: "integer", device: "device", duration: "integer", end_time: "integer", enrichments: "any[]",
  message: "string", metadata: "metadata!", observables: "any[]", raw_data: "string", raw_data_size: "integer", severity: "string",
  severity_id: "integer!", start_time: "integer", status: "string", status_code: "string", status_detail: "string", status_id: "integer",
  time: "integer!", time_dt: "string", timezone_offset: "integer", type_name: "string", type_uid: "integer!", unmapped: "unmapped",
};

const networkFields: FieldTable = {
  app_protocol_name: "string",
  app_name: "string", connection_info: "connection_info", dst_endpoint: "endpoint", proxy: "endpoint", src_endpoint: "endpoint", tls: "tls", traffic: "traffic",
};
const systemFields: FieldTable = { actor: "actor!", device: "device!" };

/** The classes, by class_uid. Registry classes are those of OCSF's Windows extension. */
export const classes: Readonly<Record<number, ClassSpec>> = {
  0: { name: "Base Event", categoryUid: 0, fields: {} },
  1001: { name: "File System Activity", categoryUid: 1, fields: { ...systemFields, access_mask: "integer", connection_uid: "string", create_mask: "string", file: "file!", file_result: "file" } },
  1005: { name: "Module Activity", categoryUid: 1, fields: { ...systemFields, module: "module!" } },
  1006: { name: "Scheduled Job Activity", categoryUid: 1, fields: { device: "device!", job: "job!", updated_job: "job" } },
  1007: {
    name: "Process Activity", categoryUid: 1,
    fields: { ...systemFields, exit_code: "integer", injection_type: "string", injection_type_id: "integer", launch_type_id: "integer", module: "module", process: "process!" },
  },
  201001: { name: "Registry Key Activity", categoryUid: 1, fields: { ...systemFields, prev_reg_key: "reg_key", reg_key: "reg_key!" } },
  201002: { name: "Registry Value Activity", categoryUid: 1, fields: { ...systemFields, prev_reg_value: "reg_value", reg_value: "reg_value!" } },
  2004: {
    name: "Detection Finding", categoryUid: 2,
    fields: { comment: "string", confidence_id: "integer", confidence_score: "integer", evidences: "evidence[]", finding_info: "finding_info!", impact_id: "integer", is_alert: "boolean", resources: "any[]", risk_level_id: "integer", risk_score: "integer" },
  },
  3002: {
    name: "Authentication", categoryUid: 3,
    fields: {
      auth_protocol: "string", auth_protocol_id: "integer", certificate: "certificate", dst_endpoint: "endpoint", is_cleartext: "boolean", is_mfa: "boolean",
      is_new_logon: "boolean", is_remote: "boolean", logon_process: "process", logon_type: "string", logon_type_id: "integer", service: "service",
      session: "session", src_endpoint: "endpoint", user: "user!",
    },
  },
  4001: { name: "Network Activity", categoryUid: 4, fields: { ...networkFields, url: "url" } },
  4002: {
    name: "HTTP Activity", categoryUid: 4,
    fields: { ...networkFields, file: "file", http_request: "http_request", http_response: "http_response", http_status: "integer" },
  },
  4003: {
    name: "DNS Activity", categoryUid: 4,
    fields: { ...networkFields, answers: "dns_answer[]", flag_ids: "integer[]", opcode_id: "integer", query: "dns_query", query_time: "integer", rcode: "string", rcode_id: "integer", response_time: "integer", transaction_id: "integer" },
  },
  4005: {
    name: "RDP Activity", categoryUid: 4,
    fields: { ...networkFields, capabilities: "string[]", certificate_chain: "string[]", file: "file", identifier_cookie: "string", protocol_ver: "string", user: "user" },
  },
  4006: {
    name: "SMB Activity", categoryUid: 4,
    fields: { ...networkFields, client_dialects: "string[]", command: "string", dialect: "string", file: "file", open_type: "string", response: "response", share: "string", share_type: "string", share_type_id: "integer", tree_uid: "string" },
  },
  4007: {
    name: "SSH Activity", categoryUid: 4,
    fields: { ...networkFields, auth_type: "string", auth_type_id: "integer", client_hassh: "any", file: "file", protocol_ver: "string", server_hassh: "any" },
  },
};

/** Bounds that JSON's types cannot say. Years 1900 to 2200: microseconds stay exact in a JavaScript number and inside timestamptz. */
export const ranges: { readonly timeMsMin: number; readonly timeMsMax: number; readonly smallMax: number } = Object.freeze({
  timeMsMin: Date.UTC(1900, 0, 1),
  timeMsMax: Date.UTC(2200, 0, 1),
  smallMax: 32_767,
});
