/**
 * Why: an operator corrects a configuration once, not once per mistake.
 * Enforces: default, file, environment, flag, in rising precedence; all problems together, each with its place.
 * Forbids: unknown fields, also in the environment: a misspelt RANSOMEYE_ variable would otherwise be silently without effect.
 */
import { ConfigError, type ConfigProblem } from "./errors.ts";
import { type FieldSpec, fieldTable } from "./fields.ts";
import { type RawValue, readFileValues } from "./file.ts";
import { brokenRelations } from "./relations.ts";
import { suggest } from "./suggest.ts";
import type { Config } from "./types.ts";
import { type ConfigValue, parseValue } from "./values.ts";

/** Names to texts: the process environment, or flags by field path (`"gateway.listen"`). */
export type TextRecord = Readonly<Record<string, string | undefined>>;

/** Where configuration comes from. The file is handed in as text: whoever reads it decides which file. */
export interface ConfigSources {
  readonly file?: { readonly path: string; readonly text: string };
  readonly env?: TextRecord;
  readonly flags?: TextRecord;
}

/** A field's value and where it came from; secrets show as `[secret]`. */
export interface ExplainedField {
  readonly field: string;
  readonly value: ConfigValue;
  readonly place: string;
}

const environmentPrefix = "RANSOMEYE_";

/** Variables with our prefix that are no fields: the file's place, and what tests hand to each other. */
const otherVariables = /^RANSOMEYE_(CONFIG|TEST_.*)$/;

/** The environment variable of a field: `gateway.listen` is `RANSOMEYE_GATEWAY_LISTEN`. */
export function environmentName(field: string): string {
  return environmentPrefix + field.replaceAll(".", "_").toUpperCase();
}

/** The process environment, the only place that reads it. */
export function systemEnvironment(): TextRecord {
  return process.env;
}

/** Loads and checks the whole configuration. Throws CONFIG_INVALID with all problems. */
export function loadConfig(sources: ConfigSources): Config {
  return resolve(sources).config;
}

/** Every field with its value and place, in the table's order, for `config show`. Throws as `loadConfig` does. */
export function explainConfig(sources: ConfigSources): ExplainedField[] {
  const { chosen } = resolve(sources);
  return [...chosen].map(([field, { value, place }]) => ({ field, value, place }));
}

interface Chosen {
  readonly value: ConfigValue;
  readonly place: string;
}

function resolve(sources: ConfigSources): { config: Config; chosen: Map<string, Chosen> } {
  const problems: ConfigProblem[] = [];
  const chosen = new Map<string, Chosen>();
  for (const [field, spec] of fieldTable) chosen.set(field, { value: defaultValue(field, spec), place: "default" });
  for (const { field, place, raw } of [...fromFile(sources, problems), ...fromEnvironment(sources, problems), ...fromFlags(sources)]) {
    const spec = fieldTable.get(field);
    if (spec === undefined) {
      problems.push({ field, place, message: `is not a field${didYouMean(suggest(field, fieldTable.keys()))}` });
      continue;
    }
    const parsed = parseValue(spec, raw);
    if (parsed.ok) chosen.set(field, { value: parsed.value, place });
    else problems.push({ field, place, message: `must be ${parsed.expected}${found(spec, raw)}` });
  }
  const config = assemble(chosen);
  const wrong = new Set(problems.map(({ field }) => field));
  for (const { field, message } of brokenRelations(config)) {
    if (!wrong.has(field)) problems.push({ field, place: chosen.get(field)?.place ?? "default", message });
  }
  if (problems.length > 0) throw new ConfigError("CONFIG_INVALID", problems);
  return { config, chosen };
}

function fromFile(sources: ConfigSources, problems: ConfigProblem[]): RawValue[] {
  if (sources.file === undefined) return [];
  const read = readFileValues(sources.file.path, sources.file.text);
  problems.push(...read.problems);
  return read.values;
}

function fromEnvironment(sources: ConfigSources, problems: ConfigProblem[]): RawValue[] {
  const byVariable = new Map([...fieldTable.keys()].map((field) => [environmentName(field), field]));
  const values: RawValue[] = [];
  for (const [variable, raw] of Object.entries(sources.env ?? {})) {
    if (!variable.startsWith(environmentPrefix) || otherVariables.test(variable) || raw === undefined) continue;
    const field = byVariable.get(variable);
    if (field === undefined)
      problems.push({ field: "", place: variable, message: `is no field's variable${didYouMean(suggest(variable, byVariable.keys()))}` });
    else values.push({ field, place: variable, raw });
  }
  return values;
}

function fromFlags(sources: ConfigSources): RawValue[] {
  const given = Object.entries(sources.flags ?? {}).filter(([, raw]) => raw !== undefined);
  return given.map(([field, raw]) => ({ field, place: `--${field}`, raw }));
}

function defaultValue(field: string, spec: FieldSpec): ConfigValue {
  const parsed = parseValue(spec, spec.default);
  if (!parsed.ok) throw new ConfigError("CONFIG_INVALID", [{ field, place: "default", message: `must be ${parsed.expected}` }]);
  return parsed.value;
}

/** Shows what was found, shortened, unless the field is secret. */
function found(spec: FieldSpec, raw: unknown): string {
  if ("secret" in spec) return "";
  const text = JSON.stringify(raw) ?? "nothing";
  return `, not ${text.length > 80 ? `${text.slice(0, 80)}…` : text}`;
}

function didYouMean(name: string | undefined): string {
  return name === undefined ? "" : `; did you mean ${name}?`;
}

function assemble(chosen: ReadonlyMap<string, Chosen>): Config {
  const config: Record<string, ConfigValue | Record<string, ConfigValue>> = {};
  for (const [field, { value }] of chosen) {
    const [section = "", name] = field.split(".");
    if (name === undefined) config[camelCase(section)] = value;
    else config[section] = { ...(config[section] as Record<string, ConfigValue> | undefined), [camelCase(name)]: value };
  }
  for (const part of Object.values(config)) Object.freeze(part);
  return Object.freeze(config) as unknown as Config;
}

/** `buffer_bytes_max` becomes `bufferBytesMax`, as in the type. */
function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
