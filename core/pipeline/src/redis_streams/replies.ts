/**
 * Why it exists: what a server answers is bytes and lists of bytes; here they become text and numbers, or the answer is refused.
 * Enforces: numbers are decimal text within 2^53, lists are lists; anything else is BUS_INTERNAL, never a NaN that travels on.
 * Forbids: knowing what a number means.
 */
import { BusError } from "../errors.ts";

/** As RESP2 delivers it, with bytes left as bytes. */
export type Reply = Buffer | number | null | Reply[];

export function listOf(reply: Reply | undefined): Reply[] {
  if (Array.isArray(reply)) return reply;
  throw unexpected();
}

export function bytesOf(reply: Reply | undefined): Buffer {
  if (Buffer.isBuffer(reply)) return reply;
  throw unexpected();
}

export function textOf(reply: Reply | undefined): string {
  return bytesOf(reply).toString("utf8");
}

export function numberOf(reply: Reply | undefined): number {
  const number = typeof reply === "number" ? reply : decimal(textOf(reply));
  if (Number.isSafeInteger(number)) return number;
  throw unexpected();
}

function decimal(text: string): number {
  return /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
}

export function unexpected(): BusError {
  return new BusError("BUS_INTERNAL", "the server gave an answer that this release does not know");
}
