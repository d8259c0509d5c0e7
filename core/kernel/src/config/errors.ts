/**
 * Why: an operator who edits configuration wants every mistake at once, each with its place.
 * Enforces: one error that carries all problems; the closed table of CONFIG_* codes.
 * Forbids: values of secret fields in any message.
 */
import { type CodeTable, type ErrorOptions, RansomeyeError } from "../errors.ts";

export type ConfigCode = "CONFIG_INVALID" | "CONFIG_UNREADABLE";

/** What each configuration code means. */
export const CONFIG_CODES: CodeTable<ConfigCode> = {
  CONFIG_INVALID: {
    stage: "start",
    disposition: "fatal",
    meaning: "The configuration has at least one problem; the message lists all of them, each with its field and where it was set.",
    next: "Correct the listed fields; `ransomeye config validate` checks without starting anything.",
  },
  CONFIG_UNREADABLE: {
    stage: "start",
    disposition: "fatal",
    meaning: "The configuration file does not exist or cannot be read.",
    next: "Check the path and its permissions, or leave the file out: every field has a default.",
  },
};

/** One thing that is wrong: which field, where it was set (`config.yaml:12`, `RANSOMEYE_LOG_LEVEL`, `--log.level`, `default`), and why. */
export interface ConfigProblem {
  readonly field: string;
  readonly place: string;
  readonly message: string;
}

/** Configuration that cannot be used. `problems` is complete: correcting them all makes the same sources load. */
export class ConfigError extends RansomeyeError<ConfigCode> {
  readonly problems: readonly ConfigProblem[];

  constructor(code: ConfigCode, problems: readonly ConfigProblem[], options?: ErrorOptions) {
    const lines = problems.map(({ field, place, message }) => `  ${place}: ${field === "" ? "" : `${field}: `}${message}`);
    super(CONFIG_CODES, code, `configuration cannot be used:\n${lines.join("\n")}`, options);
    this.problems = problems;
  }
}
