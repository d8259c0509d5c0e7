// Why: a detection skips the linger, and whoever hands lines to a producer must know which of them is one, whatever reader they came from.
// Enforces: a detection is what OCSF calls a finding: an event of its category 2. So Suricata's alerts, Zeek's notices and Falco's alerts are, by what their
//   mappings make of them, and native findings are as well.
// Forbids: parsing every line: each finding has `finding_info`, and most lines do not even name it. One that spells the name with escapes waits like any event.

import { classes } from "./event_schema.ts";

/** OCSF's category of findings. */
const findingsCategory = 2;
const hint = Buffer.from('"finding_info"');

/** Whether one of these valid events is a detection. */
export function holdFinding(lines: readonly Buffer[]): boolean {
  return lines.some((line) => line.includes(hint) && classOf(line)?.categoryUid === findingsCategory);
}

function classOf(line: Buffer): { readonly categoryUid: number } | undefined {
  const { class_uid: classUid } = JSON.parse(line.toString()) as { readonly class_uid: number };
  return classes[classUid];
}
