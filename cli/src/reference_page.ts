/**
 * Why it exists: core/docs/cli.md describes every command, and must not lag behind.
 * Enforces: the page is made from the command table and the exit table alone; a test compares it with the committed one.
 * Forbids: prose about a command that stands nowhere in the table.
 */
import type { CommandSpec } from "./commands/command.ts";
import { commandTable } from "./commands/table.ts";
import { EXITS, type ExitName } from "./errors.ts";

/** The text of core/docs/cli.md. */
export function renderCliPage(): string {
  const parts = [
    "# The `ransomeye` command",
    "Made from the command table in `cli/src/commands/`; do not edit. A test compares.",
    "Every command takes `--data-dir DIR` (default `.ransomeye` in the current folder), `--config FILE` and, where a shape is given below, `--json`. JSON shapes are stable: fields are added, never renamed or removed. With `--json` an error goes to standard error as `{\"error\": {\"code\", \"message\", \"next\"}}`. Results go to standard output, notes and progress to standard error. Text that a producer could have chosen is never printed unescaped on a terminal.",
    "## Exit codes",
    table(["code", "name", "meaning"], (Object.keys(EXITS) as ExitName[]).map((name) => [String(EXITS[name].code), `\`${name}\``, EXITS[name].meaning])),
    ...commandTable.filter((spec) => spec.hidden !== true).map(section),
  ];
  return `${parts.join("\n\n")}\n`;
}

function section(spec: CommandSpec): string {
  const parts = [`## \`ransomeye ${spec.path}${spec.args === undefined ? "" : ` ${spec.args}`}\``, capital(`${spec.summary}.`)];
  if (spec.aliases !== undefined) parts.push(`Also: ${spec.aliases.map((alias) => `\`${alias}\``).join(", ")}.`);
  if (spec.prose !== undefined) parts.push(spec.prose);
  if (spec.options.length > 0) parts.push(table(["option", "meaning"], spec.options.map((o) => [`\`${o.flags}\``, `${o.help}${o.choices === undefined ? "" : ` (${o.choices.join(", ")})`}`])));
  parts.push("```sh\n" + spec.examples.map((example) => `${example.line}   # ${example.says}`).join("\n") + "\n```");
  if (spec.json !== undefined) parts.push("`--json` prints:", "```text\n" + spec.json + "\n```");
  parts.push(`Exit codes: ${spec.exits.map((name) => `${EXITS[name].code} \`${name}\``).join(", ")}.`);
  return parts.join("\n\n");
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
  return [line(header), `|${header.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
