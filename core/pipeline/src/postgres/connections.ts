/**
 * Why it exists: taking a connection, using it once and giving it back, with every failure told in the bus's codes and counted.
 * Enforces: a connection in an unknown state is closed, never given back to its pool.
 * Forbids: transactions that span calls: readers and writers of the bus stay short.
 */
import type { Pool, PoolClient } from "ransomeye-db";
import type { Telemetry } from "ransomeye-kernel";
import type { BusError } from "../errors.ts";
import { busCallFailed } from "../events.ts";
import { busFailure, isBroken, type Stage } from "./failures.ts";

export interface Statement {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

/** @throws BusError, usually BUS_UNAVAILABLE: nothing was sent */
export async function connect(pool: Pool, telemetry: Telemetry, call: string): Promise<PoolClient> {
  try {
    const client = await pool.connect();
    client.on("error", ignore);
    return client;
  } catch (error) {
    throw callFailed(telemetry, call, busFailure(error, "connect"), 0);
  }
}

/** A connection that dies in our hands says so twice: to the statement under way, and as an event, which unheard would end the process. */
function ignore(): void {}

/** `failure` is what the last statement threw, undefined if it succeeded. */
export function giveBack(client: PoolClient, failure: unknown): void {
  client.off("error", ignore);
  client.release(failure !== undefined && isBroken(failure));
}

/** One prepared statement outside any transaction. Values are read as core/db's pool reads them. */
export async function queryOnce<Row extends object>(pool: Pool, telemetry: Telemetry, stage: Stage, statement: Statement): Promise<Row[]> {
  const client = await connect(pool, telemetry, statement.name);
  let failure: unknown;
  try {
    const result = await client.query<Row>(statement);
    return result.rows;
  } catch (error) {
    failure = error;
    throw callFailed(telemetry, statement.name, busFailure(error, stage), 0);
  } finally {
    giveBack(client, failure);
  }
}

/** Counts a failure and gives it back, to be thrown. */
export function callFailed(telemetry: Telemetry, call: string, error: BusError, frames: number): BusError {
  telemetry.emit(busCallFailed, {
    call,
    code: error.code,
    server_code: (error.fields.sqlstate as string | null | undefined) ?? null,
    frames,
  });
  return error;
}
