/**
 * Why it exists: the demo's producers are native: they speak OCSF from the start, so their events are built here, canonical.
 * Enforces: class, category, activity and type agree; times, addresses and hashes are in canonical form.
 * Forbids: I/O, clocks and randomness: everything is handed in.
 */
import { classes, OCSF_VERSION } from "ransomeye-ingestion/protocol";

/** Any JSON object. */
export type Json = Readonly<Record<string, unknown>>;

export interface OcsfHead {
  readonly classUid: number;
  readonly activityId: number;
  /** 1 informational, 2 low, 3 medium, 4 high, 5 critical. */
  readonly severityId: number;
  /** Microseconds since 1970. */
  readonly timeUs: number;
  readonly message: string;
}

/** One event as a line without its line feed. Key order is fixed, so the same input gives the same bytes. */
export function ocsfLine(head: OcsfHead, product: string, fields: Json): Buffer {
  const spec = classes[head.classUid];
  return Buffer.from(
    JSON.stringify({
      metadata: { version: OCSF_VERSION, product: { name: product, vendor_name: "RansomEye" }, profiles: ["host"] },
      class_uid: head.classUid,
      class_name: spec?.name ?? "Base Event",
      category_uid: spec?.categoryUid ?? 0,
      activity_id: head.activityId,
      type_uid: head.classUid * 100 + head.activityId,
      severity_id: head.severityId,
      time: Math.floor(head.timeUs / 1000),
      message: head.message,
      ...fields,
    }),
  );
}

/** An endpoint of a connection. */
export function endpoint(ip: string, port: number, hostname?: string): Json {
  return { ip, port, ...(hostname === undefined ? {} : { hostname }) };
}

/** The machine that an event was seen on. */
export function device(hostname: string, ip: string): Json {
  return { hostname, ip, type_id: hostname.startsWith("srv") ? 1 : 2 };
}

/** A process with its image and command line. */
export function processOf(pid: number, path: string, cmdLine: string, user: string, parent?: Json): Json {
  const name = path.split(/[\\/]/).at(-1) ?? path;
  return {
    pid,
    name,
    cmd_line: cmdLine,
    file: { name, path, type_id: 1 },
    user: { name: user },
    ...(parent === undefined ? {} : { parent_process: parent }),
  };
}

/** A file with its SHA-256. */
export function fileOf(path: string, sha256?: string, size?: number): Json {
  const name = path.split(/[\\/]/).at(-1) ?? path;
  return {
    name,
    path,
    type_id: 1,
    ...(size === undefined ? {} : { size }),
    ...(sha256 === undefined ? {} : { hashes: [{ algorithm: "SHA-256", algorithm_id: 3, value: sha256 }] }),
  };
}
