// Why: the reference page of the event schema must say what the checker does, so it is written from the same tables.
// Enforces: one text for one table; a test compares it with the page in core/docs.
// Forbids: facts about fields that stand nowhere in the code.

import { limits } from "ransomeye-kernel";
import { objects, type FieldTable } from "./event_objects.ts";
import { baseFields, classes, type EventSchema, newestSchema, OCSF_VERSION, schemas } from "./event_schema.ts";
import { INVALID_CODES, type InvalidName } from "./invalid_codes.ts";
import { NORMALISER_VERSION, ROW_FLAGS, skewMsMax } from "./normalise.ts";

const rules: readonly (readonly [string, string])[] = [
  [
    "Line",
    `A payload of \`count\` events is exactly \`count\` lines, each ended by a line feed; otherwise the whole signed batch is one dead letter. A line is UTF-8, at most ${limits.lineBytesMax} bytes, and one JSON object. A carriage return before the line feed is white space.`,
  ],
  ["Depth", `Objects and lists lie at most ${limits.jsonDepthMax} levels inside one another, the event itself being the first.`],
  ["Keys", `All objects of an event together have at most ${limits.jsonKeysMax} keys; one that comes twice counts twice.`],
  [
    "String bytes",
    `A string has at most ${limits.jsonStringBytesMax} bytes between its quotes, counted as they are written: \`\\u0041\` is six. A key is a string.`,
  ],
  [
    "What holds first",
    "The bounds hold while a line is read: what breaks one is not parsed, whatever else is wrong with it. First its bytes and UTF-8, then depth, keys and strings, whichever comes first in the line; then JSON, then the schema.",
  ],
  [
    "Required and known fields",
    "A required field must be there; a known field must have its type. `null` counts as absent. At least one of the fields named under an object must be there.",
  ],
  ["Unknown fields", "Kept as they are, never checked. What has no place in the schema belongs in `unmapped`."],
  ["Enumerations", "`*_id` fields are integers; values that this build does not know are kept, because agents may be newer."],
  [
    "Time",
    "`time` is OCSF's: integer milliseconds since 1970 UTC, years 1900 to 2200. Canonical precision is microseconds: `time_dt` (RFC 3339, six digits, `Z`) may refine `time`. It counts if it names the same millisecond; otherwise `time` alone counts and the row is flagged. A time in seconds is a valid time in January 1970 and is flagged as skewed.",
  ],
  [
    "Skew",
    `An event whose time lies more than ${skewMsMax / 1000} s from its received time is stored with the flag \`clock_skewed\`; it is never refused.`,
  ],
  ["NUL and lone surrogates", "Accepted. The document stays byte for byte; a column gets U+FFFD in their place and the row is flagged."],
  ["Numbers beyond 2^53", "Accepted in the document, byte for byte. As a column's value such a number is left out and the row is flagged."],
  ["Duplicate keys", "Accepted; the last one counts. The document keeps both."],
  ["Byte order mark", "Is not JSON: the line is invalid."],
  ["`__proto__`", "A key like any other."],
];

const flagMeaning: Readonly<Record<keyof typeof ROW_FLAGS, string>> = {
  clockSkewed: "claimed and received time lie further apart than the bound above",
  textCut: `a text was cut to ${limits.columnTextBytesMax} bytes, between characters`,
  textReplaced: "NUL or a lone surrogate became U+FFFD",
  valueDropped: "a value had no place in its column's type and was left out",
  nonCanonical: "a value was brought into canonical form",
};

const columns: readonly (readonly [string, string])[] = [
  ["event_time", "`time`, refined by `time_dt`"],
  ["class_uid, activity_id, severity_id", "the fields of that name"],
  ["host", "`device.hostname`, `device.name`, `src_endpoint.hostname`"],
  ["user_name", "name or uid of `user`, `process.user`, `actor.user`, `actor.process.user`"],
  ["process_name, process_pid", "`process`, else `actor.process`"],
  ["file_path, file_sha256", "`file`, else `module.file`, else the process's `file`; SHA-256 is `algorithm_id` 3"],
  ["src_ip, src_port, dst_ip, dst_port", "`src_endpoint`, `dst_endpoint`; canonical: RFC 5952, no zone, IPv4-mapped addresses as IPv4"],
  [
    "domain",
    "`query.hostname`, `http_request.url.hostname`, `tls.sni`, `url.hostname`, `dst_endpoint.hostname`, `dst_endpoint.domain`; canonical: lower case, no dot at the end",
  ],
  ["message", "`finding_info.title`, `process.cmd_line`, the first line of `message`, a registry key or value, `job.name`, a URL"],
];

function versionText({ version, activityMax, severityMax, severityOther }: EventSchema): string {
  const added = Object.entries(classes).filter(([, { since = 1 }]) => since === version && version > 1);
  const severities = severityOther > severityMax ? `0 to ${severityMax} and ${severityOther}` : `0 to ${severityMax}`;
  const brought = added.length === 0 ? "" : `; brought ${added.map(([uid, { name }]) => `${uid} ${name}`).join(", ")}`;
  return `\`activity_id\` 0 to ${activityMax}, \`severity_id\` ${severities}${brought}`;
}

function fieldRows(fields: FieldTable): string {
  return Object.entries(fields)
    .map(([name, notation]) => {
      const required = notation.endsWith("!");
      return `| \`${name}\` | ${required ? notation.slice(0, -1) : notation} | ${required ? "required" : ""} |`;
    })
    .join("\n");
}

function fieldTable(fields: FieldTable): string {
  return `| field | type | |\n|---|---|---|\n${fieldRows(fields)}`;
}

function table(head: readonly [string, string], rows: readonly (readonly [string, string])[]): string {
  return `| ${head[0]} | ${head[1]} |\n|---|---|\n${rows.map(([a, b]) => `| ${a} | ${b} |`).join("\n")}`;
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Pages that this room writes, by path; `npm run docs` asks for them. */
export const referencePages: Readonly<Record<string, () => string>> = { "core/docs/event_schema.md": renderEventSchemaPage };

/** The text of `core/docs/event_schema.md`. */
export function renderEventSchemaPage(): string {
  const classSections = Object.entries(classes).map(([uid, spec]) => {
    const own =
      Object.keys(spec.fields).length === 0
        ? "No fields beyond those of every class; for what has no class of its own."
        : fieldTable(spec.fields);
    return `### ${uid} ${spec.name}\n\n\`category_uid\` ${spec.categoryUid}${spec.since === undefined ? "" : `, from version ${spec.since} on`}.\n\n${own}`;
  });
  const objectSections = Object.entries(objects)
    .filter(([, spec]) => Object.keys(spec.fields).length > 0)
    .map(
      ([name, spec]) =>
        `### ${name}\n\n${spec.anyOf === undefined ? "" : `At least one of ${spec.anyOf.map((field) => `\`${field}\``).join(", ")}.\n\n`}${fieldTable(spec.fields)}`,
    );
  const codes = (Object.keys(INVALID_CODES) as InvalidName[]).map((name) => {
    const spec = INVALID_CODES[name];
    return `| ${spec.number} | \`${name}\` | ${spec.meaning} | ${spec.next} |`;
  });
  const flags = (Object.keys(ROW_FLAGS) as (keyof typeof ROW_FLAGS)[]).map(
    (name) => [`${ROW_FLAGS[name]} \`${snake(name)}\``, flagMeaning[name]] as const,
  );
  return (
    [
      "# Event schema",
      "<!-- Written from core/ingestion/protocol by `npm run docs`; do not edit. -->",
      `Events are OCSF ${OCSF_VERSION}, in the subset below (schema version ${newestSchema.version}, normaliser version ${NORMALISER_VERSION}). One event is one line of JSON. \`metadata.version\` names the released OCSF version that its producer wrote, 1.x.`,
      "## Versions",
      "The version that a producer's frames sign decides how their events are judged, line by line; two versions are admitted at a time, so that agents are updated after their gateways and not with them. At Hello a producer offers the version that it writes; a gateway that does not know it yet refuses the session and the producer keeps its events. A frame of a version that is not admitted is one dead letter.",
      table(
        ["version", "what it takes"],
        schemas.map((schema) => [String(schema.version), versionText(schema)]),
      ),
      "## Rules",
      table(["what", "rule"], rules),
      "## Reasons for a dead letter",
      `| number | code | meaning | next |\n|---|---|---|---|\n${codes.join("\n")}`,
      "## Columns",
      "A row's columns are derived from the event when the row is written; canonical and non-canonical input give the same values. The first field that is filled counts. For a finding the fields of its first evidence count.",
      table(["column", "from"], columns),
      table(["flag", "meaning"], flags),
      "## Fields of every class",
      fieldTable(baseFields),
      "## Classes",
      ...classSections,
      "## Objects",
      "`any` is whatever JSON holds; `[]` is a list.",
      ...objectSections,
    ].join("\n\n") + "\n"
  );
}
