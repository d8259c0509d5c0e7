import type { Queryable } from "./pool.ts";

/**
 * Refuses a server on which a receipt could not mean durable, and one older than 15.
 * @throws DbError DB_NOT_DURABLE, DB_VERSION_UNSUPPORTED
 */
export function assertDurable(_pool: Queryable): Promise<void> {
  return Promise.reject(new Error("not built yet"));
}
