/**
 * Why it exists: figures and tables should read the same in every command.
 * Enforces: fixed, locale-independent formats, and that every table cell is safe to print.
 * Forbids: nothing beyond that; no I/O here.
 */
import { terminalSafe } from "./terminal_safe.ts";

/** `1234567` → `1,234,567`. */
export function formatCount(n: number): string {
  return String(Math.trunc(n)).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** Bytes with a binary unit and one decimal. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}

/** Seconds as `42 s`, `3 min 5 s`, `2 h 10 min`, `12 days`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} days`;
}

/** Microseconds since 1970 as ISO 8601 UTC with microseconds. */
export function formatTimeUs(us: number): string {
  const ms = Math.floor(us / 1000);
  const rest = us - ms * 1000;
  return new Date(ms).toISOString().replace("Z", `${String(rest).padStart(3, "0")}Z`);
}

/** Left-aligned columns, widths from the content, each cell made safe and cut to `cellCharsMax`. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[], cellCharsMax = 60): string {
  const safe = [header, ...rows].map((row) => row.map((cell) => terminalSafe(cell, cellCharsMax)));
  const widths = header.map((_, column) => Math.max(...safe.map((row) => (row[column] ?? "").length)));
  return safe
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
