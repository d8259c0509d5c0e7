/**
 * Why it exists: what a database should be is best said by one that this release has just made.
 * Enforces: a throwaway server of our own, prepared as every database is; nothing of it touches the server that it is held against, whose roles are shared by all
 * of its databases.
 * Forbids: data.
 */
import { join } from "node:path";
import type { Clock, Random, Telemetry } from "ransomeye-kernel";
import type { LogPlace } from "../ownership/matrix.ts";
import { startThrowaway } from "./embedded/throwaway.ts";
import { type Client, openClient } from "./pool.ts";
import { prepareDatabase } from "./prepare.ts";

export interface ReferenceOptions {
  readonly log: LogPlace;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly random: Random;
}

/** A session, as administrator, to a database that this release has just made. */
export interface Reference {
  readonly client: Client;
  /** Removes database and server. */
  close(): Promise<void>;
}

/** @throws DbError as startEmbedded and prepareDatabase do */
export async function openReference(options: ReferenceOptions): Promise<Reference> {
  const { server, directory, close } = await startThrowaway({ prefix: "re-reference-", ...options });
  try {
    const { connection } = server;
    await prepareDatabase({ ...options, connection, secretsFile: join(directory, "secrets.json") });
    const client = await openClient(connection, "ransomeye reference");
    return {
      client,
      async close() {
        await client.end();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
