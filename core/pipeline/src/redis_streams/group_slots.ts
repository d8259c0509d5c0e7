/**
 * Why it exists: a group's place in a partition as the scripts write it (core/pipeline/redis/group.lua), read in TypeScript.
 * Enforces: one layout, spelled in two languages and held together by the contract suite.
 * Forbids: I/O.
 */
import type { Lease, Position } from "../bus.ts";
import { listOf, numberOf, type Reply, textOf, unexpected } from "./replies.ts";

const pattern = /^(\d+) (\d+) (\d+) (\d+) ([0-9a-f]{64}) ([^]*)$/;

export interface GroupSlot {
  readonly off: number;
  readonly receivedUs: number;
  readonly token: number;
  readonly hash: Buffer;
}

/** Null or undefined for a partition in which the group has no place yet. */
export function decodeSlot(reply: Reply | undefined): GroupSlot | undefined {
  if (reply === null || reply === undefined) return undefined;
  const found = pattern.exec(textOf(reply));
  if (found === null) throw unexpected();
  return { off: Number(found[1]), receivedUs: Number(found[2]), token: Number(found[3]), hash: Buffer.from(found[5] as string, "hex") };
}

/** `{part, token, off, received_us, hash}` as a lease. */
export function decodeLease(reply: Reply, at: { readonly group: string; readonly member: string; readonly generation: string }): Lease {
  const [partText, token, offText, receivedUs, hash] = listOf(reply);
  const part = numberOf(partText);
  const off = numberOf(offText);
  const position: Position | null =
    off === 0 ? null : { generation: at.generation, part, off, receivedUs: numberOf(receivedUs), hash: Buffer.from(textOf(hash), "hex") };
  return { group: at.group, member: at.member, part, token: numberOf(token), position };
}
