/**
 * Why: editors complete and check a configuration file by its JSON Schema.
 * Enforces: the schema is computed from the table, so it cannot lag behind it.
 * Forbids: rules that only the schema knows; relations between fields are checked at load, a schema cannot say them.
 */
import { type FieldSpec, fieldTable } from "./fields.ts";
import { formatBytes, parseBytes } from "./values.ts";

/** As much of JSON Schema as we write. */
export type JsonSchema = { readonly [key: string]: string | number | boolean | JsonSchema | readonly (string | JsonSchema)[] };

const bytesPattern = "^\\d{1,16}(\\.\\d{1,6})? ?(B|KiB|MiB|GiB|TiB|)$";

/** JSON Schema (2020-12) of the configuration file. */
export function configJsonSchema(): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  const sections = new Map<string, Record<string, JsonSchema>>();
  for (const [path, spec] of fieldTable) {
    const [section = "", name] = path.split(".");
    if (name === undefined) {
      properties[section] = schemaOf(spec);
      continue;
    }
    const fields = sections.get(section) ?? {};
    fields[name] = schemaOf(spec);
    sections.set(section, fields);
  }
  for (const [section, fields] of sections) properties[section] = { type: "object", additionalProperties: false, properties: fields };
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "RansomEye configuration",
    type: "object",
    additionalProperties: false,
    properties,
  };
}

function schemaOf(spec: FieldSpec): JsonSchema {
  const common = { description: spec.prose, default: spec.default };
  switch (spec.type) {
    case "boolean":
      return { ...common, type: "boolean" };
    case "choice":
      return { ...common, enum: spec.choices };
    case "integer":
      return { ...common, type: "integer", minimum: spec.min, maximum: spec.max };
    case "ratio":
      return { ...common, type: "number", minimum: spec.min, maximum: spec.max };
    case "bytes": {
      const bounds = { minimum: parseBytes(spec.min) ?? 0, maximum: parseBytes(spec.max) ?? 0 };
      return {
        ...common,
        anyOf: [
          { type: "integer", ...bounds },
          { type: "string", pattern: bytesPattern },
        ],
      };
    }
    case "address":
    case "url":
      return { ...common, type: "string" };
    case "path":
    case "text":
      return { ...common, type: "string", ...(spec.pattern === undefined ? { minLength: 1 } : { pattern: `^(?:${spec.pattern})$` }) };
  }
}

/** A field's bounds in words, for the reference page: `1 to 64 connections`. */
export function describeBounds(spec: FieldSpec): string {
  switch (spec.type) {
    case "boolean":
      return "true or false";
    case "choice":
      return spec.choices.join(", ");
    case "integer":
    case "ratio":
      return `${spec.min} to ${spec.max} ${spec.unit}`;
    case "bytes":
      return `${formatBytes(parseBytes(spec.min) ?? 0)} to ${formatBytes(parseBytes(spec.max) ?? 0)}`;
    case "address":
      return "host:port";
    case "url":
      return `empty or ${spec.protocols.map((protocol) => `${protocol}//`).join(", ")}`;
    case "path":
      return "path";
    case "text":
      return spec.expected ?? "text";
  }
}
