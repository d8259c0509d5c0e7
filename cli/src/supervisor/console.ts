/**
 * Why it exists: what `start` shows: one line that moves, and above it what happened.
 * Enforces: everything printed is safe for a terminal; roles' WARN and ERROR lines appear here, alike ones now and then; the rest stays in the log
 * files; a console that has gone away (closed terminal, broken pipe) does not end the system.
 * Forbids: cursor control on anything but a terminal.
 */
import { type Clock, systemClock } from "ransomeye-kernel";
import { type Progress, type RenderLine, startProgress } from "../terminal/progress.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import { AlikeLines } from "./alike_lines.ts";

export interface Console {
  /** A line about what happened. */
  readonly say: (line: string) => void;
  /** A line of a role's log: shown if it is a warning or worse, or no log line at all (a crash's stack). */
  roleLine(role: string, line: string): void;
  /** Starts the moving line. */
  live(render: RenderLine): void;
  stopLive(): void;
}

const shownCharsMax = 500;
/** Plain output (no terminal) gets one line this often at most. */
export const plainLineMs = 5000;

/** A console for people. */
export function openConsole(out: NodeJS.WriteStream, clock: Clock): Console {
  // EPIPE and EIO: the reader is gone, the system is not.
  out.on("error", () => undefined);
  let progress: Progress | undefined;
  const alike = new AlikeLines(clock);
  const line = (text: string): void => {
    if (progress === undefined) out.write(`${text}\n`);
    else progress.line(text);
  };
  return {
    say: (text) => line(terminalSafe(text)),
    roleLine(role, text) {
      const important = importantLine(text);
      const shown = important === undefined ? undefined : alike.pass(`${role}: ${important}`);
      if (shown !== undefined) line(terminalSafe(shown, shownCharsMax));
    },
    live(render) {
      progress ??= startProgress(out, clock, (charsMax) => terminalSafe(render(charsMax)), plainLineMs);
    },
    stopLive() {
      progress?.stop();
      progress = undefined;
    },
  };
}

/** A console for machines: one JSON object a line. */
export function openJsonConsole(out: NodeJS.WriteStream): Console {
  out.on("error", () => undefined);
  const write = (value: Readonly<Record<string, unknown>>): void => {
    out.write(`${JSON.stringify({ time_us: systemClock.nowUs(), ...value })}\n`);
  };
  return {
    say: (message) => write({ type: "message", message }),
    roleLine(role, text) {
      const shown = importantLine(text);
      if (shown !== undefined) write({ type: "role", role, message: shown });
    },
    live: () => undefined,
    stopLive: () => undefined,
  };
}

/** The line as people read it, or undefined if it belongs to the log file alone. */
export function importantLine(text: string): string | undefined {
  if (text === "") return undefined;
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return text;
  }
  if (typeof parsed !== "object" || parsed === null) return text;
  const { level, event, help, time: _time, process_role: _role, process_pid: _pid, ...fields } = parsed;
  if (level === "info" || level === "debug" || level === "trace") return undefined;
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return [String(level ?? "log").toUpperCase(), String(event ?? ""), ...rest, help === undefined ? "" : `(${String(help)})`]
    .filter((part) => part !== "")
    .join(" ");
}
