/**
 * Why: the budget in the design is by step (verify, parse, append …), and a whole-process figure cannot say which step overspent.
 * Enforces: every busy sample of a V8 profile is charged to exactly one step, the innermost function on its stack that a step claims; the rest is named,
 *   not hidden. Shares, not seconds: V8 samples by the wall clock, which on a crowded machine runs on while the process waits for a core.
 * Forbids: instrumentation in production code; the steps are recognised by the files and functions that do them.
 */
import { readFileSync } from "node:fs";

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/** A step claims call frames by a pattern over `file:function`. The first step in the list that matches wins. */
export interface StepPattern {
  readonly step: string;
  readonly pattern: RegExp;
}

const IDLE = "(idle)";
/** What no pattern claims. */
export const OTHER_STEP = "other";

/** Shares of the busy time by step of one `.cpuprofile` file, summing to 1; garbage collection is a step of its own. */
export function sharesByStep(path: string, steps: readonly StepPattern[]): Map<string, number> {
  const profile = JSON.parse(readFileSync(path, "utf8")) as CpuProfile;
  const stepOf = stepsOfNodes(profile.nodes, steps);
  const times = new Map<string, number>();
  let busy = 0;
  profile.samples.forEach((id, index) => {
    const step = stepOf.get(id);
    if (step === undefined) return;
    const time = profile.timeDeltas[index] ?? 0;
    busy += time;
    times.set(step, (times.get(step) ?? 0) + time);
  });
  return new Map([...times].map(([step, time]) => [step, time / busy]));
}

/** Maps each node to the step of its innermost claimed ancestor; idle nodes map to nothing. */
function stepsOfNodes(nodes: readonly ProfileNode[], steps: readonly StepPattern[]): Map<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const stepOf = new Map<number, string>();
  const visit: { readonly node: ProfileNode; readonly inherited: string }[] = [];
  const root = nodes[0];
  if (root !== undefined) visit.push({ node: root, inherited: OTHER_STEP });
  for (let next = visit.pop(); next !== undefined; next = visit.pop()) {
    const { node, inherited } = next;
    const own = claim(node, steps) ?? inherited;
    if (node.callFrame.functionName !== IDLE) stepOf.set(node.id, own);
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child !== undefined) visit.push({ node: child, inherited: own });
    }
  }
  return stepOf;
}

function claim(node: ProfileNode, steps: readonly StepPattern[]): string | undefined {
  const { functionName, url } = node.callFrame;
  if (functionName === "(garbage collector)") return "garbage collection";
  const name = `${url.slice(url.lastIndexOf("/") + 1)}:${functionName}`;
  return steps.find((step) => step.pattern.test(name))?.step;
}
