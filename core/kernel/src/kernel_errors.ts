/**
 * Why: closing a process can fail too, and the operator has to know which part of it did.
 * Enforces: the closed table of KERNEL_* codes.
 * Forbids: nothing beyond that; configuration has its own table in `config/errors.ts`.
 */
import { type CodeTable, type ErrorOptions, RansomeyeError } from "./errors.ts";

export type KernelCode = "KERNEL_CLOSE_FAILED" | "KERNEL_CLOSE_TIMEOUT" | "KERNEL_SOCKET_PATH_TOO_LONG";

/** What each kernel code means. */
export const KERNEL_CODES: CodeTable<KernelCode> = {
  KERNEL_CLOSE_FAILED: {
    stage: "shutdown",
    disposition: "fatal",
    meaning: "Some closers failed or overran their time while the process was closing; all others ran.",
    next: "Read the errors inside for the parts by name. Data that was receipted is safe; the next start recovers.",
  },
  KERNEL_CLOSE_TIMEOUT: {
    stage: "shutdown",
    disposition: "fatal",
    meaning: "One closer did not finish within its bound, so shutdown went on without it.",
    next: "If it happens again, look at what that part waits for; raise supervisor.drain_ms_max if the work is merely long.",
  },
  KERNEL_SOCKET_PATH_TOO_LONG: {
    stage: "start",
    disposition: "fatal",
    meaning: "A unix socket's path is longer than the operating system takes.",
    next: "Use a shorter data directory or socket directory.",
  },
};

/** Errors of the kernel itself. */
export class KernelError extends RansomeyeError<KernelCode> {
  constructor(code: KernelCode, message: string, options?: ErrorOptions) {
    super(KERNEL_CODES, code, message, options);
  }
}
