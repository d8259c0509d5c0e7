// Why: log archives are gzip, and a damaged one must say where it ends instead of ending early in silence.
// Enforces: gzip is known by its first bytes, whatever the file is called; memory stays that of a few chunks; a cut or damaged stream is an
//   error of its own, raised after everything before it was handed over.
// Forbids: guessing by file name, and other compressions (they are named in the error).

import { createGunzip } from "node:zlib";
import { ShipError } from "../errors.ts";

/** True if these first bytes are gzip's. */
export function isGzip(head: Buffer): boolean {
  return head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b;
}

/** What is packed another way, by its first bytes; a name for the error message. */
export function packedOtherwise(head: Buffer): string | undefined {
  const hex = head.toString("hex", 0, 6);
  if (hex.startsWith("28b52ffd")) return "zstd";
  if (hex.startsWith("425a68")) return "bzip2";
  if (hex.startsWith("fd377a585a00")) return "xz";
  if (hex.startsWith("504b0304")) return "zip";
  if (hex.startsWith("04224d18")) return "lz4";
  return undefined;
}

/** Packed bytes given to zlib at a time: they unpack to a thousandfold at most, so this bounds what a bomb can put into memory. */
const pieceBytes = 16 * 1024;

/**
 * Unpacks concatenated gzip members. Throws a ShipError without place after the last byte that could be unpacked: piping into a stream would
 * lose what its buffer holds when the error comes, so pieces are written and their output taken one by one.
 */
export async function* gunzip(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const unpacker = createGunzip();
  const state: { ready: Buffer[]; fault: Error | undefined; settle: () => void } = { ready: [], fault: undefined, settle: () => undefined };
  unpacker.on("data", (chunk: Buffer) => state.ready.push(chunk));
  unpacker.on("error", (error: Error) => {
    state.fault = error;
    state.settle();
  });
  const step = async function* (start: (done: () => void) => void): AsyncGenerator<Buffer> {
    if (state.fault === undefined) {
      await new Promise<void>((resolve) => {
        state.settle = resolve;
        start(resolve);
      });
    }
    const ready = state.ready;
    state.ready = [];
    yield* ready;
  };
  try {
    for await (const chunk of input) {
      for (let at = 0; at < chunk.length; at += pieceBytes)
        yield* step((done) => unpacker.write(chunk.subarray(at, at + pieceBytes), done));
      if (state.fault !== undefined) break;
    }
    yield* step((done) => unpacker.once("end", done).end());
    if (state.fault !== undefined) throw damaged(state.fault);
  } finally {
    unpacker.destroy();
  }
}

function damaged(error: Error): ShipError {
  return (error as NodeJS.ErrnoException).code === "Z_BUF_ERROR"
    ? new ShipError("SHIP_GZIP_TRUNCATED", "the gzip stream ends before its end mark", { cause: error })
    : new ShipError("SHIP_GZIP_CORRUPT", "the gzip stream is damaged", { cause: error });
}
