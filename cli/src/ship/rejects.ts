/**
 * Why it exists: whoever ships a file must be able to find, mend and ship again exactly what was not taken.
 * Enforces: one JSON object a line for each record that was not taken, with its place, code, reason and original bytes; after an interrupted run
 * the file is cut back to the checkpoint, so that no record stands in it twice.
 * Forbids: holding rejects in memory.
 */
import { isUtf8 } from "node:buffer";
import { type FileHandle, open } from "node:fs/promises";
import type { Place } from "ransomeye-shipper";
import { CliError } from "../errors.ts";

/** A record that was not taken. */
export interface Reject {
  readonly file: string;
  readonly place: Place;
  readonly code: string;
  readonly reason: string;
  /** The record's first bytes, as the reader kept them; absent when only the gateway found the fault. */
  readonly original?: Buffer;
  readonly originalBytes?: number;
}

/** Where rejects go. */
export class RejectsFile {
  readonly #file: FileHandle;
  #bytes: number;
  #buffer: string[] = [];

  private constructor(file: FileHandle, bytes: number) {
    this.#file = file;
    this.#bytes = bytes;
  }

  /** Begins at `keepBytes` (0 for a new run). @throws CliError CLI_FILE */
  static async open(path: string, keepBytes: number): Promise<RejectsFile> {
    try {
      const file = await open(path, keepBytes === 0 ? "w" : "r+", 0o600);
      await file.truncate(keepBytes);
      return new RejectsFile(file, keepBytes);
    } catch (cause) {
      throw new CliError("CLI_FILE", `the rejects file ${path} cannot be written`, { cause });
    }
  }

  add(reject: Reject): void {
    this.#buffer.push(`${JSON.stringify(rejectJson(reject))}\n`);
  }

  /** Writes what was added; gives the file's length, for the checkpoint. */
  async flush(): Promise<number> {
    if (this.#buffer.length > 0) {
      const data = Buffer.from(this.#buffer.join(""));
      this.#buffer = [];
      await this.#file.write(data, 0, data.length, this.#bytes);
      this.#bytes += data.length;
    }
    return this.#bytes;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#file.sync();
    await this.#file.close();
  }
}

/** The documented shape of one line. */
export function rejectJson(reject: Reject): Readonly<Record<string, unknown>> {
  const { file, place, code, reason, original } = reject;
  const utf8 = original !== undefined && isUtf8(original);
  return {
    file,
    record: place.record,
    line: place.line,
    byte_offset: place.byteOffset,
    code,
    reason,
    original: original === undefined ? null : original.toString(utf8 ? "utf8" : "base64"),
    original_encoding: original === undefined ? null : utf8 ? "utf8" : "base64",
    original_bytes: reject.originalBytes ?? original?.length ?? null,
  };
}
