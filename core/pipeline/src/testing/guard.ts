/**
 * Why it exists: a server has a session of its own and would outlive a test process that is killed.
 * Enforces: a shell waits for the end of a pipe from us, then kills the server with all that it forked and removes its directory.
 * Forbids: signals to processes by name; a signal to a process that we have seen end.
 */
import { spawn } from "node:child_process";

/** The shell that stands by for one server. */
export interface Guard {
  /** Tells the shell which process group to kill; undefined where none runs. */
  watch(pid: number | undefined): void;
  /** Sends the shell away: the server is gone and so is its directory. */
  release(): void;
}

/**
 * It reads numbers until it is released or the pipe ends. The pause lets the killed let go of their files. `kill -9 -- -N` is
 * not understood by dash.
 */
const script = `pid=
while read -r word; do
  case "$word" in released) exit 0 ;; none) pid= ;; *) pid=$word ;; esac
done
if [ -n "$pid" ]; then kill -s KILL -- "-$pid"; sleep 1; fi
rm -rf "$1"`;

/** Starts the shell for a server in this directory. */
export function startGuard(directory: string): Guard {
  const shell = spawn("sh", ["-c", script, "guard", directory], { detached: true, cwd: "/", stdio: ["pipe", "ignore", "ignore"] });
  shell.unref();
  shell.stdin.on("error", () => {});
  (shell.stdin as unknown as { unref(): void }).unref();
  return {
    watch: (pid) => void shell.stdin.write(`${pid ?? "none"}\n`),
    release: () => void shell.stdin.end("released\n"),
  };
}
