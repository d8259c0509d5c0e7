/**
 * Why: 50,000 agents are never updated at once, so both sides must agree on a version before anything else.
 * Enforces: the server chooses the highest version that both know (ING-7); nothing in common means refusal.
 * Forbids: guessing: a version that is not listed here is not spoken.
 */

import { schemas } from "./event_schema.ts";

/** Versions of the conversation and of the signed bytes that this build speaks, newest first. */
export const protocolVersions: readonly number[] = [1];

/** Versions of the event schema that this build admits, newest first: N and N-1. */
export const schemaVersions: readonly number[] = schemas.map(({ version }) => version);

/** The mapping version of producers that write OCSF themselves: nothing was mapped. */
export const nativeMappingVersion: number = 0;

/** The highest version that both know, or undefined. */
export function chooseVersion(offered: readonly number[], spoken: readonly number[]): number | undefined {
  let best: number | undefined;
  for (const version of offered) if (spoken.includes(version) && (best === undefined || version > best)) best = version;
  return best;
}
