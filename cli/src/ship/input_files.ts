/**
 * Why it exists: how far a run has come is told by the bytes of its files, packed or not, for only those are known before they are read.
 * Enforces: no promise of an end where there is none: with standard input or a pipe among the inputs the whole is unknown.
 * Forbids: reading ahead of whoever consumes the stream.
 */
import { createReadStream, type ReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { Clock } from "ransomeye-kernel";
import { withPauses } from "./pauses.ts";

const chunkBytes = 256 * 1024;
/** How long a stream may be silent before its reader is told. */
const pauseMs = 1000;

/** The inputs of one run, opened one after the other. */
export class InputFiles {
  readonly #stdin: NodeJS.ReadStream;
  readonly #clock: Clock;
  readonly #opened: ReadStream[] = [];
  /** Bytes of inputs that an earlier part of the run has shipped. */
  readonly #before: number;
  /** Bytes of all inputs; 0 where that is unknown. */
  readonly total: number;

  private constructor(stdin: NodeJS.ReadStream, clock: Clock, before: number, total: number) {
    this.#stdin = stdin;
    this.#clock = clock;
    this.#before = before;
    this.total = total;
  }

  /** Looks at the sizes. The run begins at input number `from`. */
  static async measure(inputs: readonly string[], from: number, stdin: NodeJS.ReadStream, clock: Clock): Promise<InputFiles> {
    const sizes: number[] = [];
    for (const input of inputs) {
      const facts = input === "-" ? undefined : await stat(input);
      if (facts?.isFile() !== true) return new InputFiles(stdin, clock, 0, 0);
      sizes.push(facts.size);
    }
    const sum = (some: readonly number[]): number => some.reduce((total, size) => total + size, 0);
    return new InputFiles(stdin, clock, sum(sizes.slice(0, from)), sum(sizes));
  }

  open(input: string): AsyncIterable<Buffer> {
    if (input === "-") return withPauses(this.#stdin as AsyncIterable<Buffer>, this.#clock, pauseMs);
    const stream = createReadStream(input, { highWaterMark: chunkBytes });
    this.#opened.push(stream);
    return stream as AsyncIterable<Buffer>;
  }

  /** Bytes that were read so far, of `total`. */
  get done(): number {
    return this.#before + this.#opened.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  }
}
