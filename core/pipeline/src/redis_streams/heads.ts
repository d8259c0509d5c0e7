/**
 * Why it exists: a producer's head as the scripts write it (core/pipeline/redis/head.lua), read in TypeScript.
 * Enforces: one layout, spelled in two languages and held together by the contract suite.
 * Forbids: I/O.
 */
import { noHead } from "../append_machine.ts";
import type { ProducerHead } from "../bus.ts";
import type { NotedHead } from "../noted_head.ts";
import { bytesOf, type Reply, unexpected } from "./replies.ts";

const pattern = /^(\d+) (\d+) (-?\d+) (\d+) (\d+) (\d+) (\d+) (\d+) (\d+) /;

/** A head that comes from elsewhere: nothing up to it can be compared here. */
export function encodeHead({ epoch, seq, part, prevEpoch, prevSeq, offered, receivedUs, hash, prevHash }: NotedHead): Buffer {
  const numbers = [epoch, seq, part, prevEpoch ?? 0, prevSeq, offered, receivedUs, epoch, seq];
  return Buffer.concat([Buffer.from(`${numbers.join(" ")} `), hash, prevHash]);
}

/** A head as it is noted elsewhere. */
export function decodeNotedHead(producer: string, head: Buffer, keyId: Reply | undefined): NotedHead {
  const { epoch, seq, part, prevEpoch, prevSeq, hash, prevHash } = decodeHead(head, undefined);
  const [, , , , , offered = 0, receivedUs = 0] = head.toString("latin1").split(" ", 7).map(Number);
  const key = keyId === null || keyId === undefined ? "" : bytesOf(keyId).toString("latin1");
  return { producer, keyId: key.padStart(16, "0"), epoch, seq, hash, part, prevEpoch, prevSeq, prevHash, offered, receivedUs };
}

/** `head` and `stored` of a producer's hash; both are empty for a producer that has opened no epoch. */
export function decodeHead(head: Reply | undefined, stored: Reply | undefined): ProducerHead {
  const raw = bytesOf(head ?? Buffer.alloc(0));
  const [storedEpoch = 0, storedSeq = 0] = (stored === null || stored === undefined ? "" : bytesOf(stored).toString("latin1"))
    .split(" ")
    .filter((text) => text !== "")
    .map(Number);
  if (raw.length === 0) return { ...noHead, storedEpoch, storedSeq };
  const found = pattern.exec(raw.toString("latin1"));
  if (found === null || raw.length !== found[0].length + 64) throw unexpected();
  const [epoch, seq, part, prevEpoch, prevSeq] = found.slice(1).map(Number) as [number, number, number, number, number];
  const at = found[0].length;
  const hash = raw.subarray(at, at + 32);
  return { epoch, seq, part, prevEpoch, prevSeq, hash, prevHash: raw.subarray(at + 32), storedEpoch, storedSeq };
}
