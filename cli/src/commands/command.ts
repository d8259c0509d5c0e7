/**
 * Why it exists: a command is described once; parsing, `--help`, and the reference page in core/docs/cli.md come from that description.
 * Enforces: every command has a summary, examples, its exit codes and, where it prints JSON, the shape of it; every command takes --data-dir,
 * --config and --json.
 * Forbids: `process.exit`, console.log, and printing a stranger's text by any way but the context's.
 */
import type { Clock, Config, ConfigSources, Random } from "ransomeye-kernel";
import type { ExitName } from "../errors.ts";
import type { DataDir } from "../supervisor/data_dir.ts";

export interface OptionSpec {
  /** As commander reads it: `--limit <n>`. */
  readonly flags: string;
  readonly help: string;
  readonly choices?: readonly string[];
}

export interface ExampleSpec {
  readonly line: string;
  readonly says: string;
}

export type OptionValues = Readonly<Record<string, unknown>>;

export interface CommandSpec {
  /** Words after `ransomeye`: `producer enroll`. */
  readonly path: string;
  /** As commander reads it: `<file...>`. */
  readonly args?: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** More than the summary, for --help and the reference page. */
  readonly prose?: string;
  readonly options: readonly OptionSpec[];
  readonly examples: readonly ExampleSpec[];
  /** The shape that --json prints, as documentation: one JSON document unless it says otherwise. */
  readonly json?: string;
  readonly exits: readonly ExitName[];
  readonly hidden?: boolean;
  run(context: CommandContext, args: readonly string[], options: OptionValues): Promise<ExitName>;
}

/** What a command may use of the world around it; tests hand in their own. */
export interface CommandContext {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadStream;
  readonly clock: Clock;
  readonly random: Random;
  /** True with --json. */
  readonly json: boolean;
  /** Loads the configuration. @throws ConfigError with all problems */
  config(flags?: Readonly<Record<string, string | undefined>>): Promise<Config>;
  dataDir(): Promise<DataDir>;
  /** Where configuration comes from, for `config show`. */
  configSources(flags?: Readonly<Record<string, string | undefined>>): Promise<ConfigSources>;
  /** Prints a result: text with --json absent (made safe by the caller cell by cell), the value as JSON with it. */
  result(value: unknown, text: string): void;
  /** Prints a note for people to stderr; nothing with --json. */
  note(text: string): void;
}

/** An option's text, or undefined. */
export function textOption(options: OptionValues, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}
