/**
 * Why it exists: commands that write for as long as somebody reads have to notice that nobody does (`| head`).
 * Enforces: an end, never an error.
 * Forbids: deciding what that means; some commands are done then, others have a work to finish.
 */

/** Aborts when nobody reads this stream any more. */
export function readerGone(stream: NodeJS.WriteStream): AbortSignal {
  const gone = new AbortController();
  for (const event of ["close", "error"]) stream.once(event, () => gone.abort(new Error("nobody reads")));
  return gone.signal;
}
