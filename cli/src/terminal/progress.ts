/**
 * Why it exists: a person wants to see a run move; a log file wants few whole lines.
 * Enforces: on a terminal one line is rewritten in place; anywhere else plain lines, at most one per interval.
 * Forbids: cursor control on anything that is not a terminal, and output on stdout (that is for results).
 */
import type { Clock, Timer } from "ransomeye-kernel";

export interface ProgressOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export interface Progress {
  /** Prints a whole line above the moving one. */
  line(text: string): void;
  /** Ends the moving line; nothing more is drawn. */
  stop(): void;
}

const ttyIntervalMs = 250;
const columnsDefault = 80;
const columnsMin = 20;

/** What the moving line says now, in at most `charsMax` characters; what is longer is cut. */
export type RenderLine = (charsMax: number) => string;

/** Draws `render()` until stopped: in place every 250 ms on a terminal, else as a line every `plainIntervalMs` when it changed. */
export function startProgress(output: ProgressOutput, clock: Clock, render: RenderLine, plainIntervalMs = 5000): Progress {
  const tty = output.isTTY === true;
  let timer: Timer | undefined;
  let shown = "";

  function draw(): void {
    const { columns = columnsDefault } = output;
    const charsMax = tty ? (columns < columnsMin ? columnsDefault : columns) - 1 : Number.POSITIVE_INFINITY;
    const text = render(charsMax);
    if (tty) output.write(`\r\u001b[2K${text.slice(0, charsMax)}`);
    else if (text !== shown) output.write(`${text}\n`);
    shown = text;
  }
  function schedule(): void {
    timer = clock.setTimer(tty ? ttyIntervalMs : plainIntervalMs, () => {
      draw();
      schedule();
    });
  }
  schedule();
  return {
    line(text) {
      output.write(tty ? `\r\u001b[2K${text}\n` : `${text}\n`);
    },
    stop() {
      timer?.cancel();
      timer = undefined;
      if (tty && shown !== "") output.write("\r\u001b[2K");
    },
  };
}

/** `[#####-----]  50%`; without a known total, nothing. */
export function progressBar(done: number, total: number, cells = 24): string {
  if (total <= 0) return "";
  const share = Math.min(1, done / total);
  const filled = Math.round(share * cells);
  return `[${"#".repeat(filled)}${"-".repeat(cells - filled)}] ${String(Math.floor(share * 100)).padStart(3)}%`;
}
