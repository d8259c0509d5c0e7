/** A fresh directory for one test, gone after it whatever comes of it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "ransomeye-kernel-"));
  try {
    await run(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}
