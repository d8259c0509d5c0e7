/**
 * Why it exists: turns the command table into a program.
 * Enforces: the same three options and the same ending of --help on every command; usage errors leave with the documented code.
 * Forbids: work of its own; and loading the roles' code here: that is the role process's (`role.ts`).
 */
import { Argument, Command, CommanderError, Option } from "commander";
import { EXITS, type ExitName } from "../errors.ts";
import type { CommandSpec, OptionValues } from "./command.ts";
import { createContext } from "./context.ts";

/** Runs the command that `argv` (without node and script) names; resolves with its exit. */
export async function runProgram(specs: readonly CommandSpec[], argv: readonly string[], version: string): Promise<ExitName> {
  let exit: ExitName = "ok";
  const program = buildProgram(specs, version, async (spec, args, options) => {
    exit = await spec.run(createContext(options), args, options);
  });
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? "ok" : "usage";
    throw error;
  }
  return exit;
}

const helpHint = "(run with --help for the options and examples)";

type Run = (spec: CommandSpec, args: readonly string[], options: OptionValues) => Promise<void>;

/** The commander program of a table. */
function buildProgram(specs: readonly CommandSpec[], version: string, run: Run): Command {
  const program = new Command("ransomeye")
    .description("Carries signed security events into PostgreSQL and proves that none was lost.")
    .version(version)
    .showHelpAfterError(helpHint)
    .exitOverride();
  program.addHelpText(
    "after",
    `\nExit codes:\n${exitLines(Object.keys(EXITS) as ExitName[])}\n\nFirst steps:\n  ransomeye start            start everything, with a small demo fleet\n  ransomeye ship FILE        in a second shell: send a Suricata, Zeek or Windows file\n  ransomeye audit            see that every event is accounted for`,
  );
  const groups = new Map<string, Command>();
  for (const spec of specs) {
    const words = spec.path.split(" ");
    const name = words.pop() ?? "";
    let parent = program;
    for (const word of words) {
      const known =
        groups.get(word) ??
        parent
          .command(word)
          .description(groupHelp[word] ?? "")
          .exitOverride();
      groups.set(word, known);
      parent = known;
    }
    parent.addCommand(buildCommand(spec, name, run), { hidden: spec.hidden === true });
  }
  return program;
}

const groupHelp: Readonly<Record<string, string>> = {
  producer: "who may send: enrol, list, suspend, revoke",
  token: "with what machines may enrol over the network",
  ca: "the authority that signs certificates",
  config: "look at the configuration",
  evidence: "take what is stored out with its proofs, and check it anywhere",
  backup: "copy the embedded database with its keys, check a copy, bring it back",
  hold: "keep days from retention",
  bus: "servers that hold the log",
  db: "what the database's catalogue says",
  dlq: "messages that no group could take: look, send again, let go",
  host: "divide a host among its services",
};

function buildCommand(spec: CommandSpec, name: string, run: Run): Command {
  const command = new Command(name)
    .summary(spec.summary)
    .description(spec.prose === undefined ? spec.summary : `${spec.summary}\n\n${spec.prose}`)
    .showHelpAfterError(helpHint)
    .exitOverride();
  for (const alias of spec.aliases ?? []) command.alias(alias);
  for (const argument of (spec.args ?? "").split(" ").filter((part) => part !== "")) command.addArgument(new Argument(argument));
  for (const o of spec.options) {
    const option = new Option(o.flags, o.help);
    command.addOption(o.choices === undefined ? option : option.choices(o.choices));
  }
  command.option("--data-dir <dir>", "where the system keeps everything (default: .ransomeye in this folder)");
  command.option("--config <file>", "configuration file (default: config.yaml in the data directory, if there is one)");
  command.option(
    "--set <field=value>",
    "set a configuration field, such as engine.writers=4; may be repeated",
    (value: string, before: string[] | undefined) => [...(before ?? []), value],
  );
  if (spec.json !== undefined) command.option("--json", "print JSON in the documented shape");
  const examples = spec.examples.map((example) => `  $ ${example.line}\n      ${example.says}`).join("\n");
  command.addHelpText("after", `\nExamples:\n${examples}\n\nExit codes:\n${exitLines(spec.exits)}`);
  command.action(async (...received: unknown[]) => {
    // commander hands over: each argument, then the options, then the command.
    const options = received.at(-2) as OptionValues;
    const args = received
      .slice(0, -2)
      .flatMap((value) => (Array.isArray(value) ? (value as string[]) : value === undefined ? [] : [String(value)]));
    await run(spec, args, options);
  });
  return command;
}

function exitLines(names: readonly ExitName[]): string {
  return names.map((name) => `  ${String(EXITS[name].code).padStart(2)}  ${EXITS[name].meaning}`).join("\n");
}
