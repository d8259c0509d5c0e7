/**
 * Why: a consumer needs something to decide with; this stands where a real model would.
 * Enforces: the same attack gets the same judgement: no clock, no dice, no I/O; a confidence between 0 and 1, with the reasons for it.
 * Forbids: believing what an attack's texts say beyond the words that are looked for: they come from attackers.
 */
import type { AiDecisionPayload, AttackPayload } from "ransomeye-pipeline";

/** What a model makes of one attack. */
export type Judgement = Omit<AiDecisionPayload, "about">;

/** A model: may take its time; `signal` aborts when its answer is not wanted any more. */
export type Model = (attack: AttackPayload, signal: AbortSignal) => Promise<Judgement>;

interface Feature {
  readonly name: string;
  readonly weight: number;
  readonly holds: (attack: AttackPayload) => boolean;
}

/** OCSF severity: 4 is high, 5 critical. */
const severityHigh = 4;
const bias = -1.5;
const maliciousMin = 0.8;
const suspiciousMin = 0.4;

const features: readonly Feature[] = [
  { name: "a honeypot was touched: nobody has business there", weight: 1.6, holds: ({ source }) => source.kind === "honeypot" },
  { name: "a known indicator was seen", weight: 2.2, holds: ({ source }) => source.kind === "indicator" },
  { name: "its severity is high", weight: 1.9, holds: ({ details }) => Number(details?.["severity_id"] ?? 0) >= severityHigh },
  {
    name: "its message names a tool of attackers",
    weight: 2.4,
    holds: ({ details }) => /vssadmin|mimikatz|psexec|cobalt|ransom/i.test(messageOf(details)),
  },
  { name: "an address reached out to it", weight: 0.4, holds: ({ src_ip }) => src_ip !== undefined },
];

/** A small logistic regression with weights that somebody made up. */
export const sampleModel: Model = (attack) => {
  const found = features.filter(({ holds }) => holds(attack));
  const sum = found.reduce((total, { weight }) => total + weight, bias);
  const confidence = Math.round(1000 / (1 + Math.exp(-sum))) / 1000;
  const verdict = confidence >= maliciousMin ? "malicious" : confidence >= suspiciousMin ? "suspicious" : "unknown";
  return Promise.resolve({ verdict, confidence, model: "sample-logistic-1", reasons: found.map(({ name }) => name) });
};

function messageOf(details: AttackPayload["details"]): string {
  const message = details?.["message"];
  return typeof message === "string" ? message : "";
}
