// Why: the event log and ETW have one scale of levels, and every writer its own way to write them.
// Enforces: one reading of it, as numbers and in words.
// Forbids: weight where none was given: 0 is "always", which says nothing of it.

const levels: Readonly<Record<string, number>> = {
  "0": 1,
  "1": 5,
  "2": 4,
  "3": 3,
  "4": 1,
  "5": 1,
  critical: 5,
  error: 4,
  warning: 3,
  information: 1,
  informational: 1,
  info: 1,
  verbose: 1,
};

/** OCSF severity of a level: informational without one, unknown (0) for one that is not known. */
export function levelSeverity(level: unknown): number {
  if (level === undefined) return 1;
  const name = String(level).toLowerCase();
  return Object.hasOwn(levels, name) ? (levels[name] as number) : 0;
}
