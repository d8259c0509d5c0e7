/**
 * Why: rules.md gives each step of the road a budget in CPU seconds per million events; this table says which functions are which step.
 * Enforces: a process's measured CPU seconds are divided by the shares of its profile, so that the steps of a process sum to what the kernel counted.
 * Forbids: a budget without an actual figure beside it.
 */
import { OTHER_STEP, type StepPattern, sharesByStep } from "../step_profile.ts";
import { type CpuLines, engineBackends, engineLine, gatewayBackends, gatewayLine, postgresPrefix } from "./process_account.ts";

const collector = "garbage collection";
/** Sockets, TLS and HTTP/2 in native code run outside any JavaScript function; V8 calls that "(program)". */
const native = /^:\(program\)$/;

/** Order matters: the first pattern that matches a function claims it and what it calls. */
const gatewaySteps: readonly StepPattern[] = [
  { step: "verify and hash", pattern: /^(signature|frame|receipt|signed_bytes|ed25519_keys)\.js:|^(hash|sig)\b.*|^(hash|sig):/ },
  { step: "parse", pattern: /^(line_parse|event_scan|scan_plan)\.js:/ },
  { step: "validate", pattern: /^(validation|event_check|event_schema|event_objects|canonical|verdicts)\.js:/ },
  {
    step: "append (gateway's side)",
    pattern:
      /^(append_call|append_queue|appender|connections|facts)\.js:|^(client|connection|query|prepared|writer|serializer|parser|utils|result|type-overrides|index)\.js:/,
  },
  {
    step: "TLS and HTTP/2",
    pattern:
      /^(core|compat|util|_tls_wrap|net|stream_base_commons|readable|writable|duplex|destroy):|^(session_shell|stream|server|grpc_wire|proto\w*|messages|transport\w*)\.js:/,
  },
  { step: "TLS and HTTP/2", pattern: native },
];

const engineSteps: readonly StepPattern[] = [
  { step: "read back (engine's side)", pattern: /^(reader|entry|decoder|streams)\.js:|^copy-to\.js:/ },
  { step: "verify and hash again", pattern: /^(frame|signed_bytes)\.js:|^hash:/ },
  { step: "parse in the engine", pattern: /^(line_parse|event_scan|scan_plan|verdicts)\.js:/ },
  { step: "encode", pattern: /^(encoder|inet|row_batch|normalise|event_values|canonical)\.js:/ },
  { step: "bookkeeping (engine's side)", pattern: /^(sink\w*|writer|gatherer|lease_keeper|tail_watch|pace|groups)\.js:/ },
  { step: "sockets and other native code", pattern: native },
];

/** One row of the table: a step, what it may cost and what it cost, CPU seconds per million events. */
export interface StepRow {
  readonly step: string;
  /** Where it runs. */
  readonly process: string;
  readonly budget: string;
  readonly actual: number;
}

const budgets: Readonly<Record<string, string>> = {
  "TLS and HTTP/2": "0.5–1",
  "verify and hash": "0.7",
  parse: "1.3–2",
  validate: "0.5",
  "append (gateway's side)": "append in all 2.2–2.5",
  [gatewayBackends]: "append in all 2.2–2.5",
  "read back (engine's side)": "read back in all 0.7",
  "parse in the engine": "1.3",
  encode: "1.5–2.6",
  [engineBackends]: "COPY rows 2.0, and their part of reading back",
  "bookkeeping (engine's side)": "0.5",
};

/** Steps of a profiled run. `profiles`: paths of the profiles of gateway and engine. */
export function stepRows(lines: CpuLines, profiles: { readonly gateway: string; readonly engine: string }, events: number): StepRow[] {
  const perMillion = (seconds: number): number => seconds / (events / 1e6);
  const rows: StepRow[] = [];
  for (const [process, path, steps] of [
    [gatewayLine, profiles.gateway, gatewaySteps],
    [engineLine, profiles.engine, engineSteps],
  ] as const) {
    const total = lines.get(process) ?? 0;
    const shares = sharesByStep(path, steps);
    const names = [...new Set(steps.map(({ step }) => step)), collector, OTHER_STEP];
    for (const step of names)
      rows.push({ step, process, budget: budgets[step] ?? "–", actual: perMillion(total * (shares.get(step) ?? 0)) });
  }
  for (const [line, seconds] of lines) {
    if (line.startsWith(postgresPrefix))
      rows.push({
        step: line.slice(postgresPrefix.length),
        process: "PostgreSQL",
        budget: budgets[line] ?? "–",
        actual: perMillion(seconds),
      });
  }
  return rows;
}
