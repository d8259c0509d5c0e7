/** A fresh directory for one test, removed when the test file ends. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

const made: string[] = [];

after(async () => {
  for (const path of made) await rm(path, { recursive: true, force: true });
});

export async function tempDir(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "ransomeye-cli-"));
  made.push(path);
  return path;
}
