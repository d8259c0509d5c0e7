/**
 * Why it exists: the port's guarantees as tests, for every adapter (style rule 11). `busContract("memory", openMemory)`.
 * Enforces: bus.ts. What only one adapter does stands in that adapter's own test file.
 */
import { describe } from "node:test";
import { appendContract } from "./contract_append.ts";
import { epochContract } from "./contract_epochs.ts";
import { groupContract } from "./contract_groups.ts";
import { readContract } from "./contract_reading.ts";
import { registryContract } from "./contract_registry.ts";
import type { OpenSubject } from "./subject.ts";

/** Runs the contract against one adapter. `open` gives an empty bus each time. */
export function busContract(name: string, open: OpenSubject): void {
  describe(`bus contract: ${name}`, () => {
    appendContract(open);
    epochContract(open);
    readContract(open);
    registryContract(open);
    groupContract(open);
  });
}
