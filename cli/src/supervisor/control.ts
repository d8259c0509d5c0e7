/**
 * Why it exists: a command in a second shell can ask the running supervisor for something that only it can do: start its own children again.
 * Enforces: a unix socket of mode 0600 in the private folder, so whoever may use it owns the data directory; one request a connection, one
 * piece of work at a time; what happens is told while it happens.
 * Forbids: anything that a signal or the registry does already.
 */
import { connect } from "node:net";
import { type Lifetime, RansomeyeError } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { serveQuestions } from "../registry/question_socket.ts";
import { LineSplitter } from "../registry/wire.ts";

/** Socket of the supervisor inside the socket folder. */
export const controlSocketName = "supervisor.sock";

/** What can be asked. */
export interface ControlRequest {
  readonly op: "restart";
  /** A role or the name of one of its processes. */
  readonly what: string;
}

/** What is answered: any number of `said`, then one of the others. */
export type ControlAnswer =
  | { readonly type: "said"; readonly message: string }
  | { readonly type: "done" }
  | { readonly type: "failed"; readonly message: string };

/** Carries out a request; tells what happens by `say`. */
export type ControlWork = (request: ControlRequest, say: (message: string) => void) => Promise<void>;

/** Serves requests until the lifetime ends; whoever asked and has gone does not stop the work. */
export async function serveControl(socketPath: string, work: ControlWork, lifetime: Lifetime): Promise<void> {
  await serveQuestions({
    socketPath,
    lifetime,
    name: "control socket",
    answer: (line, socket) => carryOut(line, work, (message) => void (socket.writable && socket.write(`${JSON.stringify(message)}\n`))),
  });
}

async function carryOut(line: string, work: ControlWork, answer: (message: ControlAnswer) => void): Promise<void> {
  try {
    await work(parseRequest(line), (message) => answer({ type: "said", message }));
    answer({ type: "done" });
  } catch (error) {
    answer({ type: "failed", message: error instanceof RansomeyeError ? error.message : String(error) });
  }
}

function parseRequest(line: string): ControlRequest {
  const value = JSON.parse(line) as Partial<ControlRequest> | null;
  if (value?.op === "restart" && typeof value.what === "string") return { op: "restart", what: value.what };
  throw new CliError("CLI_USAGE", "the supervisor does not know this request");
}

/** Asks the supervisor; `said` hears what happens until it is done. @throws CliError CLI_REFUSED, CLI_UNREACHABLE */
export function askSupervisor(socketPath: string, request: ControlRequest, said: (message: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const lines = new LineSplitter();
    socket.on("error", (cause) =>
      reject(new CliError("CLI_UNREACHABLE", `the supervisor's socket ${socketPath} cannot be reached`, { cause })),
    );
    socket.on("close", () => reject(new CliError("CLI_UNREACHABLE", "the supervisor ended the connection before it was done")));
    socket.on("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("data", (chunk: Buffer) => {
      for (const line of lines.push(chunk)) {
        const answer = JSON.parse(line) as ControlAnswer;
        if (answer.type === "said") said(answer.message);
        else if (answer.type === "done") resolve();
        else reject(new CliError("CLI_REFUSED", answer.message));
      }
    });
  });
}
