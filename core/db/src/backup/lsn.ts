/**
 * Why it exists: places in the write-ahead log are written in three ways: as text, as a number, and in the names of its files.
 * Enforces: one translation. A place fits a double until nine petabytes of log.
 * Forbids: names of files put together anywhere else.
 */

/** `16/B374D848` as a number. */
export function parseLsn(text: string): number {
  const parts = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/.exec(text);
  if (parts === null) return Number.NaN;
  return Number.parseInt(parts[1] ?? "", 16) * 2 ** 32 + Number.parseInt(parts[2] ?? "", 16);
}

const hex = (n: number): string => n.toString(16).toUpperCase().padStart(8, "0");

/** Names of the files that hold the log of a timeline from `from` up to, and without, `to`. */
export function walFiles(timeline: number, from: number, to: number, segmentBytes: number): string[] {
  const perId = 2 ** 32 / segmentBytes;
  const last = Math.floor((to - 1) / segmentBytes);
  const names: string[] = [];
  for (let segment = Math.floor(from / segmentBytes); segment <= last; segment += 1)
    names.push(hex(timeline) + hex(Math.floor(segment / perId)) + hex(segment % perId));
  return names;
}
