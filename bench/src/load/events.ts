/**
 * Why: every shape and the raw limit speak of "events of about 400 bytes"; this is that event.
 * Enforces: canonical OCSF, valid for the gate, seeded, of the stated size within a tenth; columns of every type filled.
 * Forbids: one event repeated, which caches and compressors would love.
 */
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { seededRandom } from "ransomeye-kernel";

/** Makes an endless, seeded series of NDJSON lines (without the newline), stamped with the time that `nowMs` gives. */
export function eventLines(seed: number, nowMs: () => number): (n: number) => Buffer {
  const random = seededRandom(seed);
  return (n) => {
    const salt = random.uint32();
    const host = `ws-${salt % 500}.corp.example`;
    return Buffer.from(salt % 3 === 0 ? flow(n, salt, host, nowMs()) : launch(n, salt, host, nowMs()));
  };
}

function launch(n: number, salt: number, host: string, time: number): string {
  const hex = salt.toString(16).padStart(8, "0");
  return (
    `{"class_uid":1007,"category_uid":1,"activity_id":1,"type_uid":100701,"severity_id":1,"time":${time},` +
    `"metadata":{"version":"${OCSF_VERSION}","product":{"name":"bench","vendor_name":"RansomEye"},"uid":"p-${n}"},` +
    `"device":{"hostname":"${host}","type_id":2},"actor":{"user":{"name":"user${salt % 200}"}},` +
    `"process":{"pid":${salt % 60_000},"name":"task-${hex}.exe","cmd_line":"C:\\\\Windows\\\\task-${hex}.exe /run ${hex}"}}`
  );
}

function flow(n: number, salt: number, host: string, time: number): string {
  const low = salt & 255;
  const mid = (salt >>> 8) & 255;
  return (
    `{"class_uid":4001,"category_uid":4,"activity_id":6,"type_uid":400106,"severity_id":1,"time":${time},` +
    `"metadata":{"version":"${OCSF_VERSION}","product":{"name":"bench","vendor_name":"RansomEye"},"uid":"n-${n}"},` +
    `"device":{"hostname":"${host}","type_id":2},"src_endpoint":{"ip":"10.1.${mid}.${low}","port":${1024 + (salt % 60_000)}},` +
    `"dst_endpoint":{"ip":"192.0.2.${low}","port":443},"connection_info":{"protocol_num":6,"direction_id":2},"traffic":{"bytes":${salt % 100_000}}}`
  );
}
