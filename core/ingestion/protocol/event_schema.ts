// Why: one table says what an event is; the checker, the normaliser's choices and the reference page follow it.
// Enforces: the subset of OCSF that RansomEye knows (architecture part 4), each class with its required and known fields and their types.
// Forbids: knowledge of fields anywhere else in the gate, and classes or fields that OCSF does not have.
//
// Notation: `name!` is required; `thing` names an object of event_objects.ts, `thing[]` a list; `any` is whatever JSON holds.
// Fields that are not listed are kept as they are, never checked and never refused: a newer agent may know more than we do.

import type { FieldTable } from "./event_objects.ts";

/** The released OCSF version that our events name. The subset uses nothing that its successors have withdrawn. */
export const OCSF_VERSION = "1.9.0";

/** A class of events. `categoryUid` and `name` are OCSF's own. */
export interface ClassSpec {
  readonly name: string;
  readonly categoryUid: number;
  readonly fields: FieldTable;
  /** The version of the subset that brought it; 1 where nothing is said. */
  readonly since?: number;
}

/** Fields of every class. `time` is OCSF's: milliseconds since 1970 UTC; `time_dt` (RFC 3339) may refine it to microseconds. */
export const baseFields: FieldTable = {
  activity_id: "integer!",
  activity_name: "string",
  actor: "actor",
  category_name: "string",
  category_uid: "integer!",
  class_name: "string",
  class_uid: "integer!",
  count: "integer",
  device: "device",
  duration: "integer",
  end_time: "integer",
  enrichments: "any[]",
  message: "string",
  metadata: "metadata!",
  observables: "any[]",
  raw_data: "string",
  raw_data_size: "integer",
  severity: "string",
  severity_id: "integer!",
  start_time: "integer",
  status: "string",
  status_code: "string",
  status_detail: "string",
  status_id: "integer",
  time: "integer!",
  time_dt: "string",
  timezone_offset: "integer",
  type_name: "string",
  type_uid: "integer!",
  unmapped: "unmapped",
};

const networkFields: FieldTable = {
  app_protocol_name: "string",
  app_name: "string",
  connection_info: "connection_info",
  dst_endpoint: "endpoint",
  src_endpoint: "endpoint",
  tls: "tls",
  traffic: "traffic",
};
const systemFields: FieldTable = { actor: "actor!", device: "device!" };

/** The classes of all versions, by class_uid. Registry classes are those of OCSF's Windows extension. */
export const classes: Readonly<Record<number, ClassSpec>> = {
  0: { name: "Base Event", categoryUid: 0, fields: {} },
  1001: {
    name: "File System Activity",
    categoryUid: 1,
    fields: {
      ...systemFields,
      access_mask: "integer",
      connection_uid: "string",
      create_mask: "string",
      file: "file!",
      file_result: "file",
    },
  },
  1002: { name: "Kernel Extension Activity", categoryUid: 1, since: 2, fields: { ...systemFields, driver: "kernel_driver!" } },
  1003: { name: "Kernel Activity", categoryUid: 1, since: 2, fields: { ...systemFields, kernel: "kernel!" } },
  1004: {
    name: "Memory Activity",
    categoryUid: 1,
    since: 2,
    fields: {
      ...systemFields,
      actual_permissions: "integer",
      base_address: "string",
      process: "process!",
      requested_permissions: "integer",
      size: "integer",
    },
  },
  1005: { name: "Module Activity", categoryUid: 1, fields: { ...systemFields, module: "module!" } },
  1006: { name: "Scheduled Job Activity", categoryUid: 1, fields: { device: "device!", job: "job!", updated_job: "job" } },
  1007: {
    name: "Process Activity",
    categoryUid: 1,
    fields: {
      ...systemFields,
      exit_code: "integer",
      injection_type: "string",
      injection_type_id: "integer",
      launch_type_id: "integer",
      module: "module",
      process: "process!",
    },
  },
  1008: {
    name: "Event Log Activity",
    categoryUid: 1,
    since: 2,
    fields: {
      dst_endpoint: "endpoint",
      file: "file",
      log_name: "string",
      log_provider: "string",
      log_type: "string",
      log_type_id: "integer",
      src_endpoint: "endpoint",
    },
  },
  201001: { name: "Registry Key Activity", categoryUid: 1, fields: { ...systemFields, prev_reg_key: "reg_key", reg_key: "reg_key!" } },
  201002: {
    name: "Registry Value Activity",
    categoryUid: 1,
    fields: { ...systemFields, prev_reg_value: "reg_value", reg_value: "reg_value!" },
  },
  2004: {
    name: "Detection Finding",
    categoryUid: 2,
    fields: {
      confidence_id: "integer",
      confidence_score: "integer",
      evidences: "evidence[]",
      finding_info: "finding_info!",
      impact_id: "integer",
      is_alert: "boolean",
      resources: "any[]",
      risk_level_id: "integer",
      risk_score: "integer",
    },
  },
  3002: {
    name: "Authentication",
    categoryUid: 3,
    fields: {
      auth_protocol: "string",
      auth_protocol_id: "integer",
      certificate: "certificate",
      dst_endpoint: "endpoint",
      is_cleartext: "boolean",
      is_mfa: "boolean",
      is_new_logon: "boolean",
      is_remote: "boolean",
      logon_process: "process",
      logon_type: "string",
      logon_type_id: "integer",
      service: "service",
      session: "session",
      src_endpoint: "endpoint",
      user: "user!",
    },
  },
  3006: {
    name: "Group Management",
    categoryUid: 3,
    since: 2,
    fields: {
      group: "group!",
      privileges: "string[]",
      src_endpoint: "endpoint",
      subgroup: "group",
      updated_group: "group",
      users: "user[]",
    },
  },
  3007: {
    name: "User Management",
    categoryUid: 3,
    since: 2,
    fields: { privileges: "string[]", src_endpoint: "endpoint", updated_user: "user", user: "user!" },
  },
  4001: { name: "Network Activity", categoryUid: 4, fields: { ...networkFields, url: "url" } },
  4002: {
    name: "HTTP Activity",
    categoryUid: 4,
    fields: { ...networkFields, file: "file", http_request: "http_request", http_response: "http_response", http_status: "integer" },
  },
  4003: {
    name: "DNS Activity",
    categoryUid: 4,
    fields: {
      ...networkFields,
      answers: "dns_answer[]",
      flag_ids: "integer[]",
      opcode_id: "integer",
      query: "dns_query",
      query_time: "integer",
      rcode: "string",
      rcode_id: "integer",
      response_time: "integer",
      transaction_id: "integer",
    },
  },
  4005: {
    name: "RDP Activity",
    categoryUid: 4,
    fields: {
      ...networkFields,
      capabilities: "string[]",
      certificate_chain: "string[]",
      file: "file",
      identifier_cookie: "string",
      protocol_ver: "string",
      user: "user",
    },
  },
  4006: {
    name: "SMB Activity",
    categoryUid: 4,
    fields: {
      ...networkFields,
      client_dialects: "string[]",
      command: "string",
      dialect: "string",
      file: "file",
      open_type: "string",
      response: "response",
      share: "string",
      share_type: "string",
      share_type_id: "integer",
      tree_uid: "string",
    },
  },
  4007: {
    name: "SSH Activity",
    categoryUid: 4,
    fields: {
      ...networkFields,
      auth_type: "string",
      auth_type_id: "integer",
      client_hassh: "any",
      file: "file",
      protocol_ver: "string",
      server_hassh: "any",
    },
  },
};

/** Bounds that JSON's types cannot say. Years 1900 to 2200: microseconds stay exact in a JavaScript number and inside timestamptz. */
export const ranges: { readonly timeMsMin: number; readonly timeMsMax: number; readonly smallMax: number } = Object.freeze({
  timeMsMin: Date.UTC(1900, 0, 1),
  timeMsMax: Date.UTC(2200, 0, 1),
  smallMax: 32_767,
});

/**
 * One version of the subset. Its number is signed in every frame header, negotiated at Hello, and decides alone how a frame's events are judged, so that
 * producers of two releases live side by side. A new one is made when classes are added or a rule becomes stricter.
 */
export interface EventSchema {
  readonly version: number;
  /** Bounds of `activity_id` and `severity_id`; `severityOther` is a severity beyond its bound. */
  readonly activityMax: number;
  readonly severityMax: number;
  readonly severityOther: number;
}

/** Version 1 took any small number. */
const first: EventSchema = Object.freeze({
  version: 1,
  activityMax: ranges.smallMax,
  severityMax: ranges.smallMax,
  severityOther: ranges.smallMax,
});

/** Version 2 takes OCSF's own: activities up to 99 (other), severities 0 (unknown) to 6 (fatal) and 99 (other). */
const second: EventSchema = Object.freeze({ version: 2, activityMax: 99, severityMax: 6, severityOther: 99 });

/** The versions that this build admits, newest first: what it writes itself, and the one before. */
export const schemas: readonly [EventSchema, ...EventSchema[]] = [second, first];

/** The newest version. */
export const newestSchema: EventSchema = schemas[0];

/** The schema of a version; undefined where this build does not admit it. */
export function schemaOf(version: number): EventSchema | undefined {
  return schemas.find((schema) => schema.version === version);
}

/** Whether the version has the class. */
export function hasClass({ version }: EventSchema, classUid: number): boolean {
  const spec = Object.hasOwn(classes, classUid) ? classes[classUid] : undefined;
  return spec !== undefined && (spec.since ?? 1) <= version;
}
