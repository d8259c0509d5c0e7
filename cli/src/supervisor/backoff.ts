/**
 * Why it exists: a role that ends at once after each start must neither spin nor stay away.
 * Enforces: the pause doubles with each end in a row, up to a bound; a run that lasted proves the trouble is over.
 * Forbids: giving up: a system nobody watches has to come back by itself.
 */

/** A run this long clears the count. */
export const stableRunMs = 30_000;

export interface BackoffBounds {
  readonly minMs: number;
  readonly maxMs: number;
}

/** How often in a row the child has ended by now, and the pause before its next start. */
export function nextBackoff(
  endsInARow: number,
  ranMs: number,
  bounds: BackoffBounds,
): { readonly endsInARow: number; readonly pauseMs: number } {
  const ends = ranMs >= stableRunMs ? 1 : endsInARow + 1;
  return { endsInARow: ends, pauseMs: Math.min(bounds.maxMs, bounds.minMs * 2 ** Math.min(ends - 1, 30)) };
}
