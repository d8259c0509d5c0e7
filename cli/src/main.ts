/**
 * Why it exists: the `ransomeye` command begins and ends here.
 * Enforces: one place turns errors into words and exit codes; each error ends with what to do next.
 * Forbids: a stack trace for anything but a defect.
 */
import { ConfigError, RansomeyeError } from "ransomeye-kernel";
import { runProgram } from "./commands/program.ts";
import { commandsFor } from "./commands/table.ts";
import { EXITS, exitOf, ours, systemCode } from "./errors.ts";
import { terminalSafe } from "./terminal/terminal_safe.ts";
import { version } from "./version.ts";

/** Runs one command line; gives the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return EXITS[await runProgram(await commandsFor(argv), argv, version)].code;
  } catch (thrown) {
    const error = ours(thrown);
    process.stderr.write(`${describe(error, argv.includes("--json"))}\n`);
    return EXITS[exitOf(error)].code;
  }
}

function describe(error: unknown, json: boolean): string {
  if (json) {
    const known = error instanceof RansomeyeError;
    return JSON.stringify({ error: { code: known ? error.code : "DEFECT", message: messageOf(error), next: known ? error.next : null } });
  }
  if (error instanceof ConfigError)
    return messageOf(error)
      .split("\n")
      .map((line) => terminalSafe(line))
      .join("\n");
  if (error instanceof RansomeyeError) return `${error.code}: ${terminalSafe(messageOf(error))}\n  ${error.next}`;
  return error instanceof Error
    ? (error.stack ?? error.message)
        .split("\n")
        .map((line) => terminalSafe(line))
        .join("\n")
    : terminalSafe(String(error));
}

/** An error's words; where a system call is behind it that they do not name, its error as well. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = systemCode(error.cause);
  return code === undefined || error.message.includes(code) ? error.message : `${error.message} (${code})`;
}

/** Whoever reads us may have seen enough (`| head`): what is said then is lost, and the work goes on. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
  }
}

outliveReaders();
process.exitCode = await main(process.argv.slice(2));
