// Why: every line of auditd's says which event it belongs to, and both joining and mapping begin there.
// Enforces: one reading of `node=… type=… msg=audit(time:serial):`, whatever follows it.
// Forbids: taking serials for names of events: they start anew with each boot and roll over, only node, time and serial together are one.

/** The beginning of a line. */
export interface AuditHead {
  readonly node: string | undefined;
  readonly type: string;
  /** Seconds and milliseconds, as written. */
  readonly time: string;
  readonly timeUs: number;
  readonly serial: string;
  /** What follows the head. */
  readonly body: string;
}

/** `msg=` is missing where another program passes the line on. */
const head = /^\s*(?:node=(\S+) )?type=([A-Z][A-Z0-9_]*(?:\[\d+\])?) (?:msg=)?audit\((\d{1,11})\.(\d{3}):(\d{1,20})\):?/;

/** Reads a line's head; undefined where it has none. */
export function auditHead(line: string): AuditHead | undefined {
  const match = head.exec(line);
  if (match === null) return undefined;
  const [whole, node, type, seconds, millis, serial] = match as unknown as [string, string | undefined, string, string, string, string];
  return {
    node,
    type,
    time: `${seconds}.${millis}`,
    timeUs: (Number(seconds) * 1000 + Number(millis)) * 1000,
    serial,
    body: line.slice(whole.length),
  };
}

/** The head's length is bounded by what the kernel and a node's name may be. */
const headBytesMax = 512;

/**
 * Types that are an event by themselves: a message of a program, which always has its text in quotes, and of the daemon. The kernel's records come
 * in groups, ended by EOE where auditd writes it.
 */
export function auditKey(line: Buffer): { readonly key: string; readonly timeUs: number; readonly ends: boolean } | undefined {
  const found = auditHead(line.toString("latin1", 0, headBytesMax));
  if (found === undefined) return undefined;
  const { node, type, time, timeUs, serial } = found;
  const ends = type === "EOE" || type.startsWith("DAEMON_") || line.includes(" msg='");
  return { key: `${node ?? ""} ${time}:${serial}`, timeUs, ends };
}
