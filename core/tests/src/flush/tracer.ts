/**
 * Why: what leaves before what is decided in the kernel's calls, and only a tracer sees them all.
 * Enforces: one strace for all processes, so that its file is one order of all their calls; nothing is begun before every thread is held by it.
 * Forbids: changing what it watches: it attaches to processes that run, and lets them go again.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { sleep, systemClock } from "ransomeye-kernel";

/** Calls that write to files and sockets, and those that flush files. */
const calls = "fsync,fdatasync,pwrite64,pwritev,write,writev";
/** Longer than any message or record; a cut one is noticed. */
const textBytesMax = 1_048_576;
const pollMs = 20;
/** Processes may be forked between the listing and the attaching; then it is done again. */
const attemptsMax = 5;

export class Tracer {
  readonly #strace: ChildProcess;

  private constructor(strace: ChildProcess) {
    this.#strace = strace;
  }

  /**
   * Attaches to processes and to all that they start from now on.
   * @param pids lists the processes; asked again until none has slipped through
   * @param file where the trace goes
   */
  static async attach(pids: () => Promise<number[]>, file: string): Promise<Tracer> {
    for (let attempt = 1; ; attempt++) {
      const wanted = await pids();
      const strace = spawn(
        "strace",
        [
          "-f",
          "-ttt",
          "-y",
          "-xx",
          "-s",
          String(textBytesMax),
          "-e",
          `trace=${calls}`,
          "-e",
          "signal=none",
          "-o",
          file,
          "-p",
          wanted.join(),
        ],
        { stdio: ["ignore", "ignore", "pipe"] },
      );
      const tracer = new Tracer(strace);
      await tracer.#holds(wanted);
      if (await tracer.#traces(await pids())) return tracer;
      await tracer.stop();
      if (attempt === attemptsMax) throw new Error("processes are forked faster than they can be traced");
    }
  }

  /** Lets all processes go. Resolves when the trace is complete. */
  async stop(): Promise<void> {
    if (this.#strace.exitCode !== null || this.#strace.signalCode !== null) return;
    const closed = new Promise((resolve) => this.#strace.once("close", resolve));
    this.#strace.kill("SIGINT");
    await closed;
  }

  async #holds(pids: readonly number[]): Promise<void> {
    let said = "";
    let ended: string | undefined;
    this.#strace.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()));
    this.#strace.once("error", (error) => (ended = `strace cannot be started (Debian: apt-get install strace): ${error.message}`));
    this.#strace.once("close", () => (ended ??= `strace has ended: ${said.trim()}`));
    while (!(await this.#traces(pids))) {
      if (ended !== undefined) throw new Error(ended);
      await sleep(systemClock, pollMs);
    }
  }

  /** Whether each thread of each process is held by this tracer. */
  async #traces(pids: readonly number[]): Promise<boolean> {
    for (const pid of pids) {
      for (const task of await readdir(`/proc/${pid}/task`).catch(() => [])) {
        const status = await readFile(`/proc/${pid}/task/${task}/status`, "utf8").catch(() => undefined);
        if (status !== undefined && Number(/^TracerPid:\s*(\d+)/m.exec(status)?.[1]) !== this.#strace.pid) return false;
      }
    }
    return true;
  }
}

/** A process and all below it. */
export async function withDescendants(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const below = await Promise.all(children.split(" ").filter(Boolean).map(Number).map(withDescendants));
  return [pid, ...below.flat()];
}
