/**
 * Why: tests of every room need a place on disk that nobody else has, and a machine on which they run often must not fill up with them.
 * Enforces: a fresh directory at each call, gone when the test file has ended, whatever came of it.
 * Forbids: import by anything but tests.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

const made: string[] = [];

after(async () => {
  for (const path of made) await rm(path, { recursive: true, force: true, maxRetries: 3 });
});

/** A fresh directory of this test file's own. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "ransomeye-test-"));
  made.push(path);
  return path;
}
