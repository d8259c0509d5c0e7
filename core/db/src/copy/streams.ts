/**
 * Why it exists: COPY in both directions over a `pg` connection, with backpressure and a known state afterwards.
 * Enforces: one chunk in flight (a failing COPY has nothing queued that could be sent after it); a source that fails aborts the COPY
 * and waits until the server has confirmed it; when a call settles, the connection takes the next command.
 * Forbids: leaving a COPY open on a connection that goes back to a pool.
 */
import type pg from "pg";
import { from as copyFromQuery, to as copyToQuery } from "pg-copy-streams";

/** Large chunks are cut, so that neither Node nor the server holds more than this for one CopyData message. */
const pieceBytesMax = 256 * 1024;

type CopyClient = Pick<pg.ClientBase, "query">;

function* pieces(chunk: Buffer): Generator<Buffer, void, undefined> {
  for (let at = 0; at < chunk.length; at += pieceBytesMax) yield chunk.subarray(at, at + pieceBytesMax);
}

/**
 * Runs `COPY … FROM STDIN` with the bytes of `chunks`; gives the number of rows. A chunk may be reused once the call has settled.
 * Rejects with PostgreSQL's own error (SQLSTATE in `code`), or with the error that `chunks` threw or `signal` carried; in all these
 * cases the COPY has stored nothing, an enclosing transaction is aborted, and the connection awaits ROLLBACK.
 */
export async function copyIn(
  client: CopyClient,
  sql: string,
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  signal?: AbortSignal,
): Promise<number> {
  signal?.throwIfAborted();
  const stream = client.query(copyFromQuery(sql));
  let refused = false;
  const failed = new Promise<never>((_resolve, reject) => {
    stream.on("error", (error) => {
      refused = true;
      reject(error);
    });
  });
  failed.catch(() => {});
  try {
    for await (const chunk of chunks) {
      for (const piece of pieces(chunk)) {
        signal?.throwIfAborted();
        await Promise.race([failed, new Promise((resolve) => stream.write(piece, resolve))]);
      }
    }
    // The server commits the rows of a COPY outside a transaction when it sees CopyDone: nothing may fail between here and there.
    await Promise.race([failed, new Promise<void>((resolve) => stream.end(resolve))]);
    return stream.rowCount;
  } catch (error) {
    // Where the server has refused, the COPY is over; else it waits for us: CopyFail, and its answer closes the stream.
    if (!refused) {
      await new Promise<void>((resolve) => {
        stream.once("close", resolve);
        stream.destroy(error instanceof Error ? error : new Error("COPY aborted"));
      });
    }
    throw error;
  }
}

/**
 * Runs `COPY … TO STDOUT` and yields its bytes as they come, cut anywhere, at the reader's pace.
 * A reader that stops early makes the call read the rest and throw it away, which leaves the connection usable: bound the query.
 * Rejects with PostgreSQL's own error; the connection then awaits ROLLBACK if it was in a transaction.
 */
export async function* copyOut(client: CopyClient, sql: string): AsyncGenerator<Buffer, void, undefined> {
  const stream = client.query(copyToQuery(sql));
  let over = false;
  const closed = new Promise<void>((resolve) => {
    const settle = (): void => {
      over = true;
      resolve();
    };
    stream.once("end", settle);
    stream.once("error", settle);
  });
  try {
    yield* stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } finally {
    if (!over) {
      stream.resume();
      await closed;
    }
  }
}
