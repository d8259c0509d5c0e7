/**
 * Why it exists: the version is written once, in package.json.
 * Enforces: what `--version` prints is what was installed.
 * Forbids: a second copy of the number.
 */
import { readFileSync } from "node:fs";

/** The installed version. */
export const version: string = (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string })
  .version;
