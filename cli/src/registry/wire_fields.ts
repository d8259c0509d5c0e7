/**
 * Why it exists: both directions of the registry's socket check their lines field by field, in the same way.
 * Enforces: a value that was returned has been checked (R-13: fail closed).
 * Forbids: defaults for missing fields.
 */
import { CliError } from "../errors.ts";

export function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return refuse("a line that is not JSON");
  }
}

export function object(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse("an object was expected");
  return value as Record<string, unknown>;
}

export function array(value: unknown): unknown[] {
  return Array.isArray(value) ? value : refuse("a list was expected");
}

export function integer(value: unknown, name: string): number {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : refuseField(name);
}

export function text(value: unknown, pattern: RegExp, name: string): string {
  return typeof value === "string" && pattern.test(value) ? value : refuseField(name);
}

export function oneOf<T extends string>(value: unknown, allowed: readonly T[], name: string): T {
  return allowed.find((item) => item === value) ?? refuseField(name);
}

function refuseField(name: string): never {
  return refuse(`${name} is missing, or not of the form that is asked for`);
}

/** @throws CliError CLI_REGISTRY_PROTOCOL */
export function refuse(what: string): never {
  throw new CliError("CLI_REGISTRY_PROTOCOL", `refused: ${what}`);
}
