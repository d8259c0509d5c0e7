// Why: Falco's alerts are findings about one program's behaviour on a host or in a container.
// Enforces: each alert is a detection finding with the process, file and connection that it names as evidence, and MITRE's tactics and
//   techniques from its tags; fields are found flat (`"proc.name"`) and nested (`"proc":{"name"}`) alike.
// Forbids: Falco's nanoseconds as a double, and `<NA>` as a value.

import type { Draft } from "../draft.ts";
import { asObject, Fields, type Json, some } from "../json.ts";
import type { MapOptions } from "../map_record.ts";
import { connection, deviceNamed, endpoint, fileAt, userOf } from "../ocsf_parts.ts";
import { firstTimeUs, usOfNanoseconds, usOfText } from "../source_time.ts";
import { FalcoFields } from "./fields.ts";
import { attacksOf } from "./mitre.ts";

const product: Json = { name: "Falco", vendor_name: "Falco" };

/** Falco's priorities (syslog's) as OCSF severities. */
const severities: Readonly<Record<string, number>> = {
  emergency: 6,
  alert: 5,
  critical: 5,
  error: 4,
  warning: 3,
  notice: 2,
  informational: 1,
  info: 1,
  debug: 1,
};

/** True if a record may be an alert of Falco's. Its fields can be switched off, and then its text is left. */
export function looksLikeFalco(record: Json): boolean {
  if (typeof record["rule"] !== "string" || typeof record["priority"] !== "string") return false;
  return asObject(record["output_fields"]) !== undefined || typeof record["output"] === "string";
}

/** A record's draft, or undefined where it has no time. */
export function mapFalco(record: Json, { host }: MapOptions): Draft | undefined {
  const fields = new Fields(record);
  const output = new FalcoFields(fields.nested("output_fields"));
  const time = fields.peek("time");
  const timeUs = firstTimeUs(
    usOfText(time),
    ...["evt.time", "evt.rawtime"].map((name) => usOfNanoseconds(output.peek(name))),
    usOfText(output.peek("evt.time.iso8601")),
  );
  if (timeUs === undefined) return undefined;
  const rule = fields.text("rule");
  const priority = fields.text("priority");
  const attacks = attacksOf(fields.peek("tags"));
  const evidence = evidenceOf(output);
  return {
    classUid: 2004,
    activityId: 1,
    severityId: severities[priority?.toLowerCase() ?? ""] ?? 0,
    timeUs,
    product,
    metadata: {
      event_code: output.text("evt.type"),
      log_level: priority,
      log_name: "falco",
      log_source: fields.text("source"),
      original_event_uid: fields.text("uuid"),
      original_time: fields.text("time"),
    },
    fields: {
      is_alert: true,
      device: deviceNamed(fields.text("hostname") ?? output.text("evt.hostname") ?? host),
      message: fields.text("output"),
      finding_info: {
        uid: rule ?? "unknown",
        title: rule,
        types: fields.texts("tags"),
        attacks: attacks.length === 0 ? undefined : attacks,
        analytic: { type_id: 1, name: rule },
      },
      evidences: evidence === undefined ? undefined : [evidence],
    },
    unmapped: fields.rest(),
  };
}

function evidenceOf(output: FalcoFields): Json | undefined {
  const name = output.word("fd.name");
  // A connection's name holds both ends; they stand in fields of their own too where the rule asks for them.
  const path = name !== undefined && name.startsWith("/") ? output.text("fd.name") : undefined;
  return some({
    process: processOf(output),
    user: userOf({ name: output.text("ka.user.name") ?? output.text("ct.user") }),
    file: fileAt(path),
    ...connectionOf(output),
  });
}

function processOf(output: FalcoFields): Json | undefined {
  const parent = some({
    pid: output.integer("proc.ppid"),
    name: output.text("proc.pname"),
    cmd_line: output.text("proc.pcmdline"),
    file: fileAt(output.text("proc.pexepath")),
  });
  return some({
    pid: output.integer("proc.pid"),
    name: output.text("proc.name"),
    cmd_line: output.text("proc.cmdline"),
    working_directory: output.text("proc.cwd"),
    file: fileAt(output.text("proc.exepath")),
    user: userOf({ name: output.text("user.name"), uid: output.text("user.uid") }),
    parent_process: parent,
  });
}

/** Client and server where Falco knows which is which; else this end as the source. */
function connectionOf(output: FalcoFields): Json {
  const knowsSides = output.word("fd.cip") !== undefined || output.word("fd.sip") !== undefined;
  const [from, to] = knowsSides ? ["c", "s"] : ["l", "r"];
  const end = (side: string | undefined): Json | undefined => {
    const ip = output.text(`fd.${side}ip`);
    return ip === undefined ? undefined : endpoint({ ip, port: output.integer(`fd.${side}port`) });
  };
  const [source, destination] = [end(from), end(to)];
  if (source === undefined && destination === undefined) return {};
  return { src_endpoint: source, dst_endpoint: destination, connection_info: connection(output.text("fd.l4proto")) };
}
