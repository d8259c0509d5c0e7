/**
 * Why: pools, caches and plans are sized from the machine that we run on, never hard-coded.
 * Enforces: a container's limits count, not those of the host around it.
 * Forbids: reading `os` or `process` facts elsewhere, so that a test can hand in any machine.
 */
import { statfs } from "node:fs/promises";
import { availableParallelism, hostname, totalmem } from "node:os";

/** What rooms may know about the machine. */
export interface MachineFacts {
  /** Processors that this process may use (respects affinity). */
  readonly cores: number;
  /** Memory in bytes: the machine's, or the control group's limit where that is lower. */
  readonly memoryBytes: number;
  readonly platform: string;
  readonly arch: string;
  readonly hostname: string;
  readonly nodeVersion: string;
  /** Effective user id; 0 is root. Undefined where the platform has none. */
  readonly userId: number | undefined;
}

/** Room on the file system that holds a path. */
export interface DiskFacts {
  readonly totalBytes: number;
  /** Bytes that an ordinary user may still write (root's reserve is not counted). */
  readonly freeBytes: number;
}

let known: MachineFacts | undefined;

/** Reads the facts once; they do not change while a process runs, not even when it puts itself into a smaller control group. */
export function machineFacts(): MachineFacts {
  known ??= readFacts();
  return known;
}

function readFacts(): MachineFacts {
  const constrained = process.constrainedMemory();
  const total = totalmem();
  return Object.freeze({
    cores: availableParallelism(),
    memoryBytes: constrained !== undefined && constrained > 0 ? Math.min(constrained, total) : total,
    platform: process.platform,
    arch: process.arch,
    hostname: hostname(),
    nodeVersion: process.versions.node,
    userId: process.geteuid?.(),
  });
}

/** Room on the file system that holds `path`. Rejects where the path does not exist. */
export async function diskFacts(path: string): Promise<DiskFacts> {
  const facts = await statfs(path);
  return { totalBytes: facts.blocks * facts.bsize, freeBytes: facts.bavail * facts.bsize };
}
