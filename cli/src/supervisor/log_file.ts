/**
 * Why it exists: the roles' words must be there when somebody asks, and must not fill the disk.
 * Enforces: two files a role, each bounded; the older half is dropped whole (R-33).
 * Forbids: losing the newest lines.
 */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

/** Bytes of one log file; the one before it is kept as `.1`. */
export const logFileBytesMax: number = 16 * 1024 * 1024;

/** An append-only log that turns over by size. Synchronous: lines are few, and the last ones before a crash are what matters. */
export class LogFile {
  readonly #path: string;
  readonly #bytesMax: number;
  #fd: number;
  #bytes: number;

  constructor(path: string, bytesMax: number = logFileBytesMax) {
    this.#path = path;
    this.#bytesMax = bytesMax;
    this.#fd = openSync(path, "a", 0o600);
    this.#bytes = fstatSync(this.#fd).size;
  }

  /** Writes one line. A disk that is full costs log lines, never the process. */
  line(text: string): void {
    const bytes = Buffer.from(`${text}\n`);
    // ENOSPC and the like: the supervisor's own work must go on, and a file that cannot be turned over is better than no log.
    if (this.#bytes + bytes.length > this.#bytesMax) attempt(() => this.#turnOver());
    attempt(() => {
      writeSync(this.#fd, bytes);
      this.#bytes += bytes.length;
    });
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** The old file is closed last: where one of these fails, lines still go to a file of ours, and not to whoever has its number next. */
  #turnOver(): void {
    renameSync(this.#path, `${this.#path}.1`);
    const fd = openSync(this.#path, "a", 0o600);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#bytes = 0;
  }
}

function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // Nobody is left to tell.
  }
}
