/**
 * Why: the figures of the connections bench for people, and when it has failed.
 * Enforces: page and verdict are made from the same figures.
 * Forbids: figures of its own.
 */
import type { Page, Part } from "ransomeye-tests";
import type { Percentiles } from "../stats.ts";

/** All of one run. */
export interface ConnectionsFigures {
  readonly producers: number;
  readonly gateways: number;
  readonly generators: number;
  readonly filesMax: number;
  readonly boundedBy: string;
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
  readonly gatewayCpuShare: number;
  readonly lingerMs: number;
  readonly ended: Readonly<Record<string, number>>;
  readonly unanswered: number;
  readonly ledgerBalanced: boolean;
}

const kib = 1024;

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
    [f.unanswered === 0, `events without a receipt at the end: ${f.unanswered}`],
    [f.ledgerBalanced, `ledger ${f.ledgerBalanced ? "balanced" : "NOT balanced"}`],
  ];
  const figures = [
    `memory of a connection: gateway ${(f.gatewayBytesPerConnection / kib).toFixed(0)} KiB, generator ${(f.generatorBytesPerConnection / kib).toFixed(0)} KiB`,
    `sessions opened: ${(f.connected / f.connectSeconds).toFixed(0)}/s (handshake, session, epoch; generators on the same cores); enrolled ${f.enrolledPerSecond.toFixed(0)}/s`,
    `small frames: ${f.framesPerSecond.toFixed(0)}/s, receipt p50 ${f.receiptMs.p50.toFixed(0)} ms, p99 ${f.receiptMs.p99.toFixed(0)} ms; gateways used ${f.gatewayCpuShare.toFixed(2)} cores; linger ${f.lingerMs} ms`,
  ];
  return {
    lines: [
      `bounded by: ${f.boundedBy}`,
      ...checks.map(([holds, line]) => `${holds ? "ok  " : "FAIL"}  ${line}`),
      ...figures.map((line) => `      ${line}`),
    ],
    holds: checks.every(([holds]) => holds),
  };
}

/** The page. */
export function connectionsPage(parts: readonly Part<ConnectionsFigures>[]): Page {
  return {
    title: "Fifty thousand producers on one machine",
    lead: "Each producer has an identity, a certificate, a mutual-TLS connection, a session and an epoch of its own, and sends a small frame now and then; gateways, bus, engine and the processes that play the producers share the machine's cores. The limit of handshakes per source was switched off for 127.0.0.0/8.",
    tables: parts.map(({ figures }) => ({
      caption: `${figures.producers} producers`,
      head: ["", "what"],
      rows: connectionsVerdict(figures).lines.map((line) =>
        line.startsWith("bounded") ? ["", line] : [line.slice(0, 4).trim(), line.slice(6)],
      ),
    })),
  };
}
