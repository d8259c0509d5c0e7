/**
 * Why it exists: records become lines of a file or of a pipe.
 * Enforces: a file is new, its owner's alone, and on disk before it is told as written; what could not be written whole is not left there;
 *   each write is answered before the next, so that nothing waits for whoever takes nothing any more, and whoever gives the records is let go.
 * Forbids: writing over a file.
 */
import { open, rm } from "node:fs/promises";
import { encodeRecord, type EvidenceRecord } from "ransomeye-evidence";

/** Writes a new file; gives the number of records. @throws what the system says of the file (EEXIST, ENOSPC, …), and whatever `records` throws */
export async function writeEvidenceFile(path: string, records: AsyncIterable<EvidenceRecord>): Promise<number> {
  const file = await open(path, "wx", 0o600);
  try {
    const written = await writeLines(records, (text) => file.appendFile(text));
    await file.sync();
    return written;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** Writes to a stream that stays open; gives null, and no error, where its reader has seen enough (`| head`). */
export async function writeEvidenceStream(stream: NodeJS.WritableStream, records: AsyncIterable<EvidenceRecord>): Promise<number | null> {
  const write = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      stream.write(text, (error) => (error === null || error === undefined ? resolve() : reject(error)));
    });
  try {
    return await writeLines(records, write);
  } catch (error) {
    if (!readerGone.has((error as NodeJS.ErrnoException).code)) throw error;
    return null;
  }
}

const readerGone: ReadonlySet<string | undefined> = new Set(["EPIPE", "ERR_STREAM_DESTROYED"]);
const charactersPerWrite = 256 * 1024;

async function writeLines(records: AsyncIterable<EvidenceRecord>, write: (text: string) => Promise<unknown>): Promise<number> {
  let written = 0;
  let text = "";
  for await (const record of records) {
    text += `${encodeRecord(record)}\n`;
    written += 1;
    if (text.length < charactersPerWrite) continue;
    await write(text);
    text = "";
  }
  if (text !== "") await write(text);
  return written;
}
