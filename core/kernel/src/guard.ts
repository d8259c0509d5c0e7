/**
 * Why it exists: what is started for a while in a process group of its own (a throwaway server, a system under test) would outlive us if we are killed.
 * Enforces: a shell waits for the end of a pipe from us, then kills that group and removes its directory.
 * Forbids: signals to processes by name; a signal to a process that we have seen end.
 */
import { spawn } from "node:child_process";

/** The shell that stands by for one process group. */
export interface Guard {
  /** Tells the shell which process group to kill; undefined where none runs. */
  watch(pid: number | undefined): void;
  /** Sends the shell away: the group is gone and so is its directory. */
  release(): void;
}

/**
 * It reads numbers until it is released or the pipe ends. Whoever leads the group is asked to end first, if there is patience for that. The pause lets the killed
 * let go of their files. `kill -9 -- -N` is not understood by dash.
 */
const script = `pid=
while read -r word; do
  case "$word" in released) exit 0 ;; none) pid= ;; *) pid=$word ;; esac
done
if [ -n "$pid" ]; then
  left=$2
  [ "$left" = 0 ] || kill -s TERM "$pid"
  while [ "$left" -gt 0 ] && kill -s 0 -- "-$pid"; do sleep 1; left=$((left - 1)); done
  kill -s KILL -- "-$pid"
fi
sleep 1
rm -rf "$1"`;

/**
 * Starts the shell for what runs in this directory.
 * @param patienceS seconds that it has to end by itself
 */
export function startGuard(directory: string, patienceS = 0): Guard {
  const shell = spawn("sh", ["-c", script, "guard", directory, String(patienceS)], {
    detached: true,
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
  });
  shell.unref();
  // Where no shell can be started nothing stands by, and what it would have watched has not been started either.
  shell.on("error", () => {});
  shell.stdin.on("error", () => {});
  (shell.stdin as unknown as { unref(): void }).unref();
  return {
    watch: (pid) => void shell.stdin.write(`${pid ?? "none"}\n`),
    release: () => void shell.stdin.end("released\n"),
  };
}
