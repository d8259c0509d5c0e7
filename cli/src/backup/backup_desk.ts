/**
 * Why it exists: a backup needs a session of the database's administrator, which only the supervisor has; the copying is the command's.
 * Enforces: a unix socket of mode 0600 in the private folder, so whoever may use it owns the data directory; one backup at a time; the session lives as long
 * as the connection that asked for it, and what it keeps back in the server goes with it.
 * Forbids: handing out the connection; files of the database passing through this process.
 */
import { createServer, type Socket } from "node:net";
import type { BackupBegin, BackupEnd, BackupSession } from "ransomeye-db";
import { CliError } from "../errors.ts";
import { listenPrivately } from "../registry/server.ts";
import { LineSplitter } from "../registry/wire.ts";

/** Socket of the desk inside the socket folder. */
export const backupSocketName = "backup.sock";

/** What is asked, in this order; whoever hangs up has finished, or given up. */
export type BackupRequest = "begin" | "finish";

/** What is answered. */
export type BackupAnswer =
  | { readonly type: "begun"; readonly begin: BackupBegin }
  | { readonly type: "finished"; readonly end: BackupEnd }
  | { readonly type: "failed"; readonly message: string };

/** Serves backups until the function returned is called; those under way end with it. */
export async function serveBackups(socketPath: string, open: () => Promise<BackupSession>): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>();
  const closing = new Set<Promise<void>>();
  let taken = false;

  const server = createServer((socket) => {
    let session: BackupSession | undefined;
    let mine = false;
    const answer = (message: BackupAnswer): void => void (socket.writable && socket.write(`${JSON.stringify(message)}\n`));
    const carryOut = async (request: string): Promise<BackupAnswer> => {
      if (request === ("begin" satisfies BackupRequest) && !mine) {
        if (taken) throw new CliError("CLI_REFUSED", "another backup is being made");
        [taken, mine] = [true, true];
        session = await open();
        return { type: "begun", begin: session.begin };
      }
      if (request !== ("finish" satisfies BackupRequest) || session === undefined)
        throw new CliError("CLI_USAGE", "this is no backup's next step");
      return { type: "finished", end: await session.finish() };
    };
    // One step after the other; the end comes after the step that is under way, which may just be opening the session.
    let last = Promise.resolve();
    const lines = new LineSplitter();
    sockets.add(socket);
    socket.on("error", () => undefined);
    const end = new Promise<void>((resolve) => socket.once("close", () => resolve()))
      .then(() => last)
      .then(async () => {
        await session?.close();
        if (mine) taken = false;
        sockets.delete(socket);
        closing.delete(end);
      });
    closing.add(end);
    socket.on("data", (chunk: Buffer) => {
      let requests: string[] = [];
      try {
        requests = lines.push(chunk);
      } catch {
        socket.destroy();
      }
      for (const request of requests)
        last = last.then(() =>
          carryOut(request).then(answer, (error: unknown) =>
            answer({ type: "failed", message: error instanceof Error ? error.message : String(error) }),
          ),
        );
    });
  });
  await listenPrivately(server, socketPath);
  return async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.all(closing);
  };
}
