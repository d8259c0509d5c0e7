// Why: Suricata's EVE records are the DPI probe's word on what crossed the wire.
// Enforces: alerts become findings with the connection as evidence, protocol records the class of their protocol, everything else with
//   addresses network activity, and what has none (stats, engine) base events.
// Forbids: reading direction into addresses: Suricata's src and dest are those of the packet that it names.

import { parseInstantUs } from "ransomeye-ingestion/protocol";
import type { Draft } from "../draft.ts";
import { asObject, Fields, type Json, some } from "../json.ts";
import { connection, endpoint } from "../ocsf_parts.ts";
import { type Part, protocolParts } from "./protocols.ts";

const product: Json = { name: "Suricata", vendor_name: "OISF" };

/** Suricata's alert severity (1 is worst) as OCSF's. */
const severities: Readonly<Record<number, number>> = { 1: 4, 2: 3, 3: 2, 4: 1 };
const informational = 1;

/** A record's draft, or undefined where it has no time. */
export function mapSuricata(record: Json): Draft | undefined {
  const fields = new Fields(record);
  const timestamp = fields.peek("timestamp");
  const timeUs = typeof timestamp === "string" ? parseInstantUs(timestamp, true) : Number.NaN;
  if (Number.isNaN(timeUs)) return undefined;
  const type = fields.text("event_type");
  const sensor = fields.text("host");
  const metadata = {
    event_code: type,
    log_name: "eve",
    original_time: fields.text("timestamp"),
    reporter: sensor === undefined ? undefined : { hostname: sensor },
  };
  const alert = type === "alert" ? asObject(fields.peek("alert")) : undefined;
  const part = alert === undefined ? networkPart(type, fields) : alertPart(fields);
  const severityId = alert === undefined ? informational : (severities[Number(alert["severity"])] ?? 0);
  return { ...part, severityId, timeUs, product, metadata, unmapped: fields.rest() };
}

/** Both ends and the connection between them; the port stays behind where there is no address, an endpoint needs one. */
function ends(fields: Fields): Json {
  const source = fields.text("src_ip");
  const destination = fields.text("dest_ip");
  return {
    src_endpoint: source === undefined ? undefined : endpoint({ ip: source, port: fields.integer("src_port") }),
    dst_endpoint: destination === undefined ? undefined : endpoint({ ip: destination, port: fields.integer("dest_port") }),
    connection_info: connection(fields.text("proto"), { uid: fields.text("flow_id"), community_uid: fields.text("community_id") }),
  };
}

function networkPart(type: string | undefined, fields: Fields): Part {
  if (!fields.has("src_ip") && !fields.has("dest_ip")) return { classUid: 0, activityId: 99, activityName: type, fields: {} };
  // The protocol's reader first: it may look at what is taken here.
  const part = protocolParts[type ?? ""]?.(fields);
  const common = { ...ends(fields), app_protocol_name: fields.text("app_proto") };
  if (part !== undefined) return { ...part, fields: { ...common, ...part.fields } };
  const counted = type === "flow" || type === "netflow" ? flowFields(fields.nested(type)) : {};
  return { classUid: 4001, activityId: 6, fields: { ...common, ...counted } };
}

/** Start and end stay in unmapped too: OCSF counts milliseconds here, Suricata says microseconds. */
function flowFields(flow: Fields): Json {
  const millis = (name: string): number | undefined => {
    const us = parseInstantUs(String(flow.peek(name)), true);
    return Number.isNaN(us) ? undefined : Math.floor(us / 1000);
  };
  return {
    start_time: millis("start"),
    end_time: millis("end"),
    traffic: some({
      bytes_out: flow.integer("bytes_toserver"),
      bytes_in: flow.integer("bytes_toclient"),
      packets_out: flow.integer("pkts_toserver"),
      packets_in: flow.integer("pkts_toclient"),
      bytes: flow.integer("bytes"),
      packets: flow.integer("pkts"),
    }),
  };
}

/** Objects of a protocol's event that an alert may carry as evidence. */
const evidenceFields: readonly (readonly [type: string, fields: readonly string[]])[] = [
  ["http", ["http_request", "http_response"]],
  ["tls", ["tls"]],
  ["dns", ["query"]],
];

function alertPart(fields: Fields): Part {
  const alert = fields.nested("alert");
  const signatureId = alert.text("signature_id") ?? "0";
  const revision = alert.text("rev");
  const title = alert.text("signature");
  const category = alert.text("category");
  const evidence = ends(fields);
  for (const [type, names] of evidenceFields) {
    // A copy, because evidence has room for these objects only: what else the protocol's reader finds a place for stays in unmapped.
    const copy = asObject(fields.peek(type));
    const part = copy === undefined ? undefined : protocolParts[type]?.(new Fields({ [type]: { ...copy } }));
    for (const name of part === undefined ? [] : names) evidence[name] = part?.fields[name];
  }
  return {
    classUid: 2004,
    activityId: 1,
    fields: {
      is_alert: true,
      finding_info: {
        uid: [alert.text("gid") ?? "1", signatureId, revision ?? "0"].join(":"),
        title,
        types: category === undefined ? undefined : [category],
        analytic: { type_id: 1, name: title, uid: signatureId, version: revision, category },
      },
      evidences: [evidence],
    },
  };
}
