/**
 * Why it exists: what an operator does is noted with a name.
 * Enforces: the name that the operating system knows, or the number where it knows none.
 * Forbids: believing an environment variable.
 */
import { userInfo } from "node:os";

/** Who runs this process. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
