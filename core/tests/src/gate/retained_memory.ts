/**
 * Why: what a process takes from the machine says little about what it keeps: allocators hold on to pages, and each version of Node in its own way.
 * Enforces: what is still reachable after forced collections, in the heap and beside it.
 * Forbids: use outside tests and measurements: a forced collection stops everything.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | undefined;

/** Bytes that this process keeps: live objects, buffers, and what libraries have reported as theirs. */
export async function retainedBytes(): Promise<number> {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  // What one collection finalises, the next one frees.
  for (let times = 0; times < 4; times += 1) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
