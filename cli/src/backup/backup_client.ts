/**
 * Why it exists: the command that copies holds the supervisor's session by a connection to its desk.
 * Enforces: an end of the connection, for whatever reason, is an end of the backup.
 * Forbids: going on without the session.
 */
import { connect, type Socket } from "node:net";
import type { BackupBegin, BackupEnd, BackupSession } from "ransomeye-db";
import { CliError } from "../errors.ts";
import { LineSplitter } from "../registry/wire.ts";
import type { BackupAnswer, BackupRequest } from "./backup_desk.ts";

/** Begins a backup at the supervisor's desk. @throws CliError CLI_REFUSED, CLI_UNREACHABLE */
export async function beginAtDesk(socketPath: string): Promise<BackupSession> {
  const desk = new Desk(connect(socketPath));
  try {
    return {
      begin: await desk.begin(),
      finish: () => desk.finish(),
      close: () => desk.close(),
    };
  } catch (error) {
    await desk.close();
    throw error;
  }
}

class Desk {
  readonly #socket: Socket;
  readonly #ended: Promise<never>;
  #heard: ((answer: BackupAnswer) => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    const lines = new LineSplitter();
    this.#ended = new Promise((_resolve, reject) => {
      socket.on("error", (cause) =>
        reject(new CliError("CLI_UNREACHABLE", "the supervisor's socket for backups cannot be reached", { cause })),
      );
      socket.on("close", () => reject(new CliError("CLI_UNREACHABLE", "the supervisor ended the connection before the backup was done")));
    });
    this.#ended.catch(() => undefined);
    socket.on("data", (chunk: Buffer) => {
      for (const line of lines.push(chunk)) this.#heard?.(JSON.parse(line) as BackupAnswer);
    });
  }

  async begin(): Promise<BackupBegin> {
    const answer = await this.#ask("begin");
    if (answer.type !== "begun") throw refused(answer);
    return answer.begin;
  }

  async finish(): Promise<BackupEnd> {
    const answer = await this.#ask("finish");
    if (answer.type !== "finished") throw refused(answer);
    return answer.end;
  }

  async close(): Promise<void> {
    this.#socket.destroy();
  }

  #ask(request: BackupRequest): Promise<BackupAnswer> {
    const answered = new Promise<BackupAnswer>((resolve) => {
      this.#heard = resolve;
    });
    this.#socket.write(`${request}\n`);
    return Promise.race([answered, this.#ended]);
  }
}

function refused(answer: BackupAnswer): CliError {
  return new CliError("CLI_REFUSED", answer.type === "failed" ? answer.message : "the supervisor answered another question");
}
