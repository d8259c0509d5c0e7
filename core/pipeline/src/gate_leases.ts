/**
 * Why: however many gates there are, what all of them have on its way into the log at once must stay within one bound.
 * Enforces: max-min fair by want among the leases in force; what others still hold is never given twice.
 * Forbids: clocks and storage; the adapters keep the leases, PostgreSQL by the same rule in bus.pressure.
 */

/** Another gate's lease in force. */
export interface HeldLease {
  readonly wantBytes: number;
  readonly bytes: number;
}

/** Bytes that a gate gets that wants `wantBytes`, beside `others`, of `budgetBytes` in all. */
export function leaseBytes(wantBytes: number, others: readonly HeldLease[], budgetBytes: number): number {
  const taken = others.reduce((sum, { bytes }) => sum + bytes, 0);
  let left = budgetBytes;
  let count = others.length + 1;
  for (const { wantBytes: want } of others.toSorted((a, b) => a.wantBytes - b.wantBytes)) {
    if (want > Math.floor(left / count)) break;
    left -= want;
    count -= 1;
  }
  return Math.max(0, Math.min(wantBytes, budgetBytes - taken, Math.floor(left / count)));
}
