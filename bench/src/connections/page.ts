/**
 * Why: the figures of the connections bench for people, and when it has failed.
 * Enforces: page and verdict are made from the same figures.
 * Forbids: figures of its own.
 */
import type { Page, Part } from "ransomeye-tests";
import type { Percentiles } from "../stats.ts";

/** Cores in use, or seconds of them. */
export type CoresOf = Readonly<Record<"gateways" | "postgres" | "engine" | "generators", number>>;

/** All of one run. */
export interface ConnectionsFigures {
  readonly producers: number;
  readonly gateways: number;
  readonly generators: number;
  /** Files that a process may open. */
  readonly filesMax: number;
  readonly connected: number;
  readonly enrolledPerSecond: number;
  readonly connectSeconds: number;
  /** Connected at the end of the measured time. */
  readonly stayed: number;
  readonly gatewayBytesPerConnection: number;
  readonly generatorBytesPerConnection: number;
  readonly sessionsOfGateways: readonly number[];
  readonly seconds: number;
  readonly framesPerSecond: number;
  readonly receiptMs: Percentiles;
  readonly coresOf: CoresOf;
  /** How often a gateway changed its backpressure state while it was measured. */
  readonly pressureChanges: number;
  /** The longest of all gateways. */
  readonly lingerMs: number;
  readonly ended: Readonly<Record<string, number>>;
  readonly unanswered: number;
  readonly ledgerBalanced: boolean;
}

/** What a connection may cost a gateway: raw TLS took 44 kB on such a machine, a bare HTTP/2 server 76, grpc-js 87. */
const connectionBytesMax = 100_000;

/** What was found, and whether all of it holds. */
export function connectionsVerdict(f: ConnectionsFigures): { readonly lines: readonly string[]; readonly holds: boolean } {
  const checks: readonly (readonly [holds: boolean, line: string])[] = [
    [
      f.connected === f.producers,
      `connected at once: ${f.connected} of ${f.producers}, on ${f.gateways} gateways (${f.sessionsOfGateways.join(", ")})`,
    ],
    [
      f.stayed === f.connected,
      `still connected after ${f.seconds} s: ${f.stayed}${Object.keys(f.ended).length === 0 ? "" : ` (${JSON.stringify(f.ended)})`}`,
    ],
    [
      f.gatewayBytesPerConnection <= connectionBytesMax,
      `memory of a connection: gateways ${(f.gatewayBytesPerConnection / 1000).toFixed(0)} kB of at most ${connectionBytesMax / 1000}; generators ${(f.generatorBytesPerConnection / 1000).toFixed(0)} kB`,
    ],
    [f.unanswered === 0, `events without a receipt at the end: ${f.unanswered}`],
    [f.ledgerBalanced, `ledger ${f.ledgerBalanced ? "balanced" : "NOT balanced"}`],
  ];
  const figures = [
    `sessions opened: ${(f.connected / f.connectSeconds).toFixed(0)}/s (handshake, session, epoch; generators on the same cores); enrolled ${f.enrolledPerSecond.toFixed(0)}/s`,
    `small frames: ${f.framesPerSecond.toFixed(0)}/s, receipt p50 ${f.receiptMs.p50.toFixed(0)} ms, p99 ${f.receiptMs.p99.toFixed(0)} ms; linger ${f.lingerMs} ms, ${f.pressureChanges} changes of backpressure`,
    `cores in use: ${Object.entries(f.coresOf)
      .map(([of, cores]) => `${of} ${cores.toFixed(2)}`)
      .join(", ")}; a process may open ${f.filesMax} files`,
  ];
  return {
    lines: [...checks.map(([holds, line]) => `${holds ? "ok  " : "FAIL"}  ${line}`), ...figures.map((line) => `      ${line}`)],
    holds: checks.every(([holds]) => holds),
  };
}

/** The page. */
export function connectionsPage(parts: readonly Part<ConnectionsFigures>[]): Page {
  return {
    title: "How many producers one machine's gateways hold",
    lead: "Each producer has an identity, a certificate, a mutual-TLS connection, a session and an epoch of its own, and sends a small frame now and then; gateways, bus, engine and the processes that play the producers share the machine's cores. The limit of handshakes per source was switched off for 127.0.0.0/8.",
    tables: parts.map(({ figures }) => ({
      caption: `${figures.producers} producers`,
      head: ["", "what"],
      rows: connectionsVerdict(figures).lines.map((line) => [line.slice(0, 4).trim(), line.slice(6)]),
    })),
  };
}
