/**
 * Why it exists: a configuration can be checked and looked at without starting anything.
 * Enforces: all problems at once, each with field and place; secrets are never shown.
 * Forbids: changing anything.
 */
import { ConfigError, explainConfig, loadConfig } from "ransomeye-kernel";
import { formatTable } from "../terminal/format.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import type { CommandSpec } from "./command.ts";

const configValidateCommand: CommandSpec = {
  path: "config validate",
  summary: "check the configuration and list every problem",
  options: [],
  examples: [
    { line: "ransomeye config validate", says: "Checks config.yaml in the data directory and the RANSOMEYE_ variables." },
    { line: "ransomeye config validate --config new.yaml --json", says: "Checks another file, for a script." },
  ],
  json: `{"valid": boolean, "problems": [{"field": string, "place": string, "message": string}]}`,
  exits: ["ok", "usage", "config"],
  async run(context) {
    try {
      loadConfig(await context.configSources());
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      context.result(
        { valid: false, problems: error.problems },
        error.problems
          .map((problem) => terminalSafe(`${problem.place}: ${problem.field === "" ? "" : `${problem.field}: `}${problem.message}`))
          .join("\n"),
      );
      return "config";
    }
    context.result({ valid: true, problems: [] }, "the configuration is valid");
    return "ok";
  },
};

const configShowCommand: CommandSpec = {
  path: "config show",
  summary: "show every field with its value and where it comes from; secrets are hidden",
  options: [],
  examples: [{ line: "ransomeye config show", says: "Which value is in force, and whether a file, a variable or a flag set it." }],
  json: `{"fields": [{"field": string, "value": string | number | boolean, "place": string}]}`,
  exits: ["ok", "usage", "config"],
  async run(context) {
    const fields = explainConfig(await context.configSources());
    context.result(
      { fields },
      formatTable(
        ["field", "value", "from"],
        fields.map((f) => [f.field, String(f.value), f.place]),
      ),
    );
    return "ok";
  },
};

/** In the order of help. */
export const configCommands: readonly CommandSpec[] = [configValidateCommand, configShowCommand];
