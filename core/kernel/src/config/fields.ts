/**
 * Why: configuration is described once; its type, parsing, validation, JSON Schema and reference page all come from this table.
 * Enforces: every field has a type, a default, bounds, whether it is secret or reloadable, and prose. Keys are `section.name`, snake_case with the unit
 *   last; TypeScript sees `config.section.name` in camelCase.
 * Forbids: fields that are known anywhere else, and defaults outside their bounds (a test checks).
 */
import type { FieldSpec } from "./field_types.ts";
import { agentFields } from "./fields/agent.ts";
import { dataFields } from "./fields/data.ts";
import { enrolmentFields } from "./fields/enrolment.ts";
import { gatewayFields } from "./fields/gateway.ts";
import { generalFields } from "./fields/general.ts";
import { kindsFields } from "./fields/kinds.ts";
import { processFields } from "./fields/processes.ts";

export type { FieldSpec } from "./field_types.ts";

/** The table, in the order of the reference page. */
export const configFields: typeof generalFields &
  typeof gatewayFields &
  typeof kindsFields &
  typeof enrolmentFields &
  typeof dataFields &
  typeof agentFields &
  typeof processFields = {
  ...generalFields,
  ...gatewayFields,
  ...kindsFields,
  ...enrolmentFields,
  ...dataFields,
  ...agentFields,
  ...processFields,
};

/** A field's path in the table. */
export type FieldPath = keyof typeof configFields;

/** The table with its values' general type, for code that walks it. */
export const fieldTable: ReadonlyMap<string, FieldSpec> = new Map<string, FieldSpec>(Object.entries(configFields));
