/**
 * Why it exists: what an agent follows is said on the command line, or in a file that a configuration manager writes.
 * Enforces: closed shapes; every mistake is named with its place.
 * Forbids: following nothing.
 */
import { readFile } from "node:fs/promises";
import { type Format, formatNames, type FollowSource } from "ransomeye-shipper";
import { CliError } from "../errors.ts";

/** The sources of both. @throws CliError CLI_USAGE, CLI_FILE */
export async function agentSources(
  paths: readonly string[],
  format: string | undefined,
  file: string | undefined,
): Promise<FollowSource[]> {
  const sources: FollowSource[] = paths.map((path) => ({ path, format: format as Format | undefined }));
  if (file !== undefined) sources.push(...(await sourcesFile(file)));
  if (sources.length === 0) throw new CliError("CLI_USAGE", "name at least one file or pattern to follow, or --sources");
  return sources;
}

async function sourcesFile(file: string): Promise<FollowSource[]> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new CliError("CLI_FILE", `${file} cannot be read`, { cause });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CliError("CLI_USAGE", `${file} is not JSON`, { cause });
  }
  if (!Array.isArray(value)) throw new CliError("CLI_USAGE", `${file}: a list of {"path", "format"} was expected`);
  return value.map((one: unknown, at) => source(one, `${file}, entry ${at + 1}`));
}

function source(value: unknown, place: string): FollowSource {
  const { path, format, ...rest } = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (typeof path !== "string" || path === "") throw new CliError("CLI_USAGE", `${place}: "path" is missing`);
  if (unknown !== undefined) throw new CliError("CLI_USAGE", `${place}: "${unknown}" is not known; "path" and "format" are`);
  if (format !== undefined && !formatNames.includes(format as Format))
    throw new CliError("CLI_USAGE", `${place}: "format" is one of ${formatNames.join(", ")}`);
  return { path, format: format as Format | undefined };
}
