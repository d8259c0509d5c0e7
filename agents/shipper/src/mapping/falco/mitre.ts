// Why: a rule's tags name what MITRE ATT&CK calls the behaviour, mixed with words of Falco's own.
// Enforces: `mitre_…` are tactics, `T…` techniques and sub-techniques, as OCSF's attacks.
// Forbids: pairing a technique with a tactic that merely stands beside it.

import type { Json } from "../json.ts";

/** MITRE's enterprise tactics by the names that rules give them. */
const tactics: Readonly<Record<string, readonly [uid: string, name: string]>> = {
  reconnaissance: ["TA0043", "Reconnaissance"],
  resource_development: ["TA0042", "Resource Development"],
  initial_access: ["TA0001", "Initial Access"],
  execution: ["TA0002", "Execution"],
  persistence: ["TA0003", "Persistence"],
  privilege_escalation: ["TA0004", "Privilege Escalation"],
  defense_evasion: ["TA0005", "Defense Evasion"],
  credential_access: ["TA0006", "Credential Access"],
  discovery: ["TA0007", "Discovery"],
  lateral_movement: ["TA0008", "Lateral Movement"],
  collection: ["TA0009", "Collection"],
  exfiltration: ["TA0010", "Exfiltration"],
  command_and_control: ["TA0011", "Command and Control"],
  impact: ["TA0040", "Impact"],
};

function attackOf(tag: unknown): Json | undefined {
  if (typeof tag !== "string") return undefined;
  const technique = /^(T\d{4})(\.\d{3})?$/.exec(tag);
  if (technique !== null) {
    const uid = technique[1] as string;
    return technique[2] === undefined ? { technique: { uid } } : { technique: { uid }, sub_technique: { uid: tag } };
  }
  const tactic = tactics[/^mitre_(\w+)$/.exec(tag)?.[1] ?? ""];
  return tactic === undefined ? undefined : { tactic: { uid: tactic[0], name: tactic[1] } };
}

/** OCSF's attacks from a rule's tags, in their order. */
export function attacksOf(tags: unknown): Json[] {
  return Array.isArray(tags) ? tags.map(attackOf).filter((attack) => attack !== undefined) : [];
}
