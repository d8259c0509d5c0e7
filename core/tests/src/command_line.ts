/**
 * Why: proofs and benches are commands too, and strangers type them. A proof that was asked for "no" runs by a slip of the finger would pass.
 * Enforces: one table gives a command its options, their types and its --help; what cannot be understood ends with a sentence, the help, and exit code 2.
 * Forbids: defaults in place of what somebody typed, and a stack trace for it.
 */
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";

/** One option: how it is typed, what it means, and how its text becomes a value. */
export interface OptionSpec<T> {
  /** As commander reads it: `--runs <n>`, `--self-check`. */
  readonly flags: string;
  readonly means: string;
  /** What holds where nobody typed it. */
  readonly fallback: T;
  /** How help names the fallback; without it the value itself. */
  readonly said?: string;
  /** Not there where the option takes no text. @throws InvalidArgumentError */
  readonly read?: (text: string) => T;
}

/** A command and all that may follow it. */
export interface CommandSpec<V> {
  /** What is typed before the options: `npm run test:crash --`. */
  readonly typed: string;
  readonly does: string;
  readonly options: { readonly [K in keyof V]: OptionSpec<V[K]> };
  /** What may follow that is no option: `<folder>` must, `[words...]` may. */
  readonly words?: { readonly name: string; readonly means: string };
  /** What a reader of the help should know besides. */
  readonly notes?: string;
  /** What exit codes 0 and 1 say; 2 is a command line that is wrong. */
  readonly exits: readonly [string, string];
}

/** A command line that was understood. */
export interface CommandLine<V> {
  readonly values: V;
  readonly words: readonly string[];
}

/** Why nothing is to be done: somebody asked for help (0), or the line is wrong (2). */
export class NothingToDo extends Error {
  readonly exitCode: 0 | 2;

  constructor(exitCode: 0 | 2, text: string) {
    super(text);
    this.exitCode = exitCode;
  }
}

/** A number of things: a positive whole number; an underscore may group its digits. */
export function count(flags: string, means: string, fallback: number): OptionSpec<number> {
  return { flags, means, fallback, read: positiveInteger };
}

/** A number of things that the command finds by itself where nobody gives it. */
export function countIfGiven(flags: string, means: string): OptionSpec<number | undefined> {
  return { flags, means, fallback: undefined, read: positiveInteger };
}

export function textIfGiven(flags: string, means: string): OptionSpec<string | undefined> {
  return { flags, means, fallback: undefined, read: (text) => text };
}

/** Where the result page goes, with its figures as JSON beside it. */
export const resultFile: OptionSpec<string | undefined> = textIfGiven(
  "--result <file>",
  "write the result page (Markdown), and its figures (JSON) beside it",
);

/** One of some names, or all of them. */
export function oneOrAll<N extends string>(flags: string, means: string, names: readonly N[]): OptionSpec<readonly N[]> {
  const read = (text: string): readonly N[] => {
    const chosen = text === "all" ? names : names.filter((name) => name === text);
    if (chosen.length === 0) throw new InvalidArgumentError(`It takes all or one of: ${names.join(", ")}.`);
    return chosen;
  };
  return { flags, means: `${means}: ${names.join(", ")} or all`, fallback: names, said: "all", read };
}

/** `--no-…` is true until somebody types it, every other flag is false. */
export function flag(flags: string, means: string): OptionSpec<boolean> {
  return { flags, means, fallback: flags.startsWith("--no-") };
}

/** What the words after a command mean. @throws NothingToDo */
export function parseCommandLine<V extends object>(spec: CommandSpec<V>, args: readonly string[]): CommandLine<V> {
  const said: string[] = [];
  const command = commandOf(spec).configureOutput({ writeOut: (text) => said.push(text), writeErr: (text) => said.push(text) });
  try {
    command.parse([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw new NothingToDo(error.exitCode === 0 ? 0 : 2, said.join(""));
  }
  const given = command.opts<Partial<V>>();
  const keys = Object.keys(spec.options) as (keyof V)[];
  const values = Object.fromEntries(keys.map((key) => [key, given[key] ?? spec.options[key].fallback])) as V;
  return { values, words: command.args };
}

/** The same, for a process: what is not to be run ends it. */
export function readCommandLine<V extends object>(spec: CommandSpec<V>, args: readonly string[] = process.argv.slice(2)): CommandLine<V> {
  try {
    return parseCommandLine(spec, args);
  } catch (error) {
    if (!(error instanceof NothingToDo)) throw error;
    (error.exitCode === 0 ? process.stdout : process.stderr).write(error.message);
    process.exit(error.exitCode);
  }
}

function commandOf<V extends object>({ typed, does, options, words, notes, exits }: CommandSpec<V>): Command {
  const command = new Command(typed).description(does).showHelpAfterError().exitOverride();
  if (words !== undefined) command.addArgument(new Argument(words.name, words.means));
  for (const [key, spec] of Object.entries<OptionSpec<unknown>>(options)) command.addOption(optionOf(key, spec));
  const after = [...(notes === undefined ? [] : [notes]), `Exit codes: 0 ${exits[0]} · 1 ${exits[1]} · 2 the command line is wrong`];
  return command.addHelpText("after", `\n${after.join("\n\n")}`);
}

function optionOf(key: string, { flags, means, fallback, said, read }: OptionSpec<unknown>): Option {
  const option = new Option(flags, means);
  if (option.attributeName() !== key) throw new TypeError(`${flags} is not how an option named ${key} is typed`);
  if (read === undefined) return option;
  return (fallback === undefined ? option : option.default(fallback, said)).argParser((text: string) => read(text));
}

function positiveInteger(text: string): number {
  const value = Number(text.replaceAll("_", ""));
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError("It takes a positive whole number.");
}
