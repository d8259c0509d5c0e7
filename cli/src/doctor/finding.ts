/**
 * Why it exists: one shape for what `doctor` finds.
 * Enforces: whatever is not ok says what to do.
 * Forbids: nothing beyond that.
 */

export interface Finding {
  readonly check: string;
  readonly level: "ok" | "warn" | "fail";
  readonly message: string;
  readonly next: string | null;
}

export function fine(check: string, message: string): Finding {
  return { check, level: "ok", message, next: null };
}

export function doubtful(check: string, message: string, next: string): Finding {
  return { check, level: "warn", message, next };
}

export function failed(check: string, message: string, next: string): Finding {
  return { check, level: "fail", message, next };
}
