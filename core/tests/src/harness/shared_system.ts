/**
 * Why: a system takes seconds to start; tests of one file that leave it as they found it need not start one each.
 * Enforces: it is started by the first test that asks, and ended after the file's last.
 * Forbids: sharing among files, which run side by side.
 */
import { after } from "node:test";
import { RunningSystem } from "./running_system.ts";

/** Use at the top of a test file; flags as for `RunningSystem.start`. */
export function sharedSystem(flags: readonly string[] = []): () => Promise<RunningSystem> {
  let started: Promise<RunningSystem> | undefined;
  after(async () => (await started)?.[Symbol.asyncDispose]());
  return () => (started ??= RunningSystem.start(flags));
}
