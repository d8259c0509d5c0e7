/**
 * Why it exists: the parts that most commands begin with: configuration, data directory, a connection as reader.
 * Enforces: precedence flag, environment, file, default; what is printed is safe for a terminal; a command connects as the reader unless it
 * names another role.
 * Forbids: the administrator's connection.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type LoginRole, openPool, type Pool, readSecrets, roleConnection } from "ransomeye-db";
import {
  type Config,
  type ConfigSources,
  loadConfig,
  recordingTelemetry,
  systemClock,
  systemEnvironment,
  systemRandom,
} from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { dataDirAt } from "../supervisor/data_dir.ts";
import { type RuntimeFile, requireRuntime } from "../supervisor/runtime_file.ts";
import { terminalSafe, terminalSafeJson } from "../terminal/terminal_safe.ts";
import type { CommandContext, OptionValues } from "./command.ts";

const defaultDataDir = ".ransomeye";

/** The context of one run of one command. */
export function createContext(options: OptionValues): CommandContext {
  const { stdout, stderr, stdin } = process;
  const json = options["json"] === true;
  const sources = async (flags: Readonly<Record<string, string | undefined>> = {}): Promise<ConfigSources> => {
    const env = systemEnvironment();
    const dataDirFlag = typeof options["dataDir"] === "string" ? options["dataDir"] : undefined;
    const named = typeof options["config"] === "string" ? options["config"] : env["RANSOMEYE_CONFIG"];
    const file = await readConfigFile(named, join(dataDirFlag ?? env["RANSOMEYE_DATA_DIR"] ?? defaultDataDir, "config.yaml"));
    return {
      env,
      flags: { ...flags, ...setFlags(options["set"]), ...(dataDirFlag === undefined ? {} : { data_dir: dataDirFlag }) },
      ...(file === undefined ? {} : { file }),
    };
  };
  const config = async (flags?: Readonly<Record<string, string | undefined>>): Promise<Config> => loadConfig(await sources(flags));
  return {
    stdout,
    stderr,
    stdin,
    clock: systemClock,
    random: systemRandom,
    json,
    config,
    configSources: sources,
    dataDir: async () => dataDirAt((await config()).dataDir),
    result(value, text) {
      stdout.write(json ? `${terminalSafeJson(JSON.stringify(value, null, 2))}\n` : text === "" ? "" : `${text}\n`);
    },
    note(text) {
      if (!json) stderr.write(`${terminalSafe(text)}\n`);
    },
  };
}

/** `--set field=value`, as flags by field; what is no field is for the configuration to refuse. */
function setFlags(given: unknown): Record<string, string> {
  const flags: Record<string, string> = {};
  for (const text of Array.isArray(given) ? (given as string[]) : []) {
    const at = text.indexOf("=");
    if (at <= 0) throw new CliError("CLI_USAGE", `--set ${text}: field=value was expected`);
    flags[text.slice(0, at)] = text.slice(at + 1);
  }
  return flags;
}

async function readConfigFile(named: string | undefined, fallback: string): Promise<{ path: string; text: string } | undefined> {
  const path = named ?? fallback;
  try {
    return { path, text: await readFile(path, "utf8") };
  } catch (cause) {
    if (named === undefined && (cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new CliError("CLI_FILE", `the configuration file ${path} cannot be read`, { cause });
  }
}

/** A pool to the running system, as one of its roles. */
export interface Reader {
  readonly pool: Pool;
  readonly runtime: RuntimeFile;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Connects to the running system, as ransomeye_reader. @throws CliError CLI_NOT_RUNNING, CLI_UNREACHABLE */
export function openReader(context: CommandContext): Promise<Reader> {
  return openAs(context, "ransomeye_reader");
}

/** Connects to the running system as `role`: passwords lie in the data directory, so whoever may read that may do it. @throws as openReader */
export async function openAs(context: CommandContext, role: LoginRole): Promise<Reader> {
  const dir = await context.dataDir();
  const runtime = await requireRuntime(dir);
  if (runtime.postgres === null) throw new CliError("CLI_UNREACHABLE", "the system is starting; its database is not open yet");
  const secrets = await readSecrets(dir.databaseSecrets);
  const connection = roleConnection(await databaseServer(context, runtime.postgres), secrets, role);
  const pool = openPool({ connection, max: 2, applicationName: "ransomeye cli", telemetry: recordingTelemetry() });
  await pool.query("SELECT 1").catch(async (cause: unknown) => {
    await pool.end();
    throw new CliError("CLI_UNREACHABLE", "the database does not answer; it may be starting again", { cause });
  });
  return { pool, runtime, [Symbol.asyncDispose]: () => pool.end() };
}

/** An external server may want TLS, which runtime.json does not carry; its URL is in the configuration. */
async function databaseServer(
  context: CommandContext,
  state: NonNullable<RuntimeFile["postgres"]>,
): Promise<Parameters<typeof roleConnection>[0]> {
  if (state.embedded) return state;
  const { parseConnectionUrl } = await import("ransomeye-db");
  const { url } = (await context.config()).database;
  if (url.isEmpty)
    throw new CliError(
      "CLI_UNREACHABLE",
      `the system's PostgreSQL at ${state.host} is none of its own, and this command is not told database.url as the system was: put it into config.yaml in the data directory, or set RANSOMEYE_DATABASE_URL`,
    );
  return parseConnectionUrl(url.reveal());
}
