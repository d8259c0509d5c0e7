/**
 * Why: a rule that every adapter follows is proven once, for all wants and budgets.
 * Enforces: R-14, the sum of leases never exceeds the budget, and after one round of renewals nobody could have more without somebody poorer having less.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { leaseBytes } from "../src/gate_leases.ts";

const wants = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 12 });

test("BP-12 R-14 leases are within the budget after every renewal, in any order", () => {
  fc.assert(
    fc.property(wants, fc.integer({ min: 1, max: 3000 }), fc.array(fc.nat(), { maxLength: 40 }), (wanted, budget, order) => {
      const held = new Map<number, { wantBytes: number; bytes: number }>();
      for (const pick of order) {
        const gate = pick % wanted.length;
        const wantBytes = wanted[gate] as number;
        held.delete(gate);
        const bytes = leaseBytes(wantBytes, [...held.values()], budget);
        held.set(gate, { wantBytes, bytes });
        assert.ok(bytes >= 0 && bytes <= wantBytes);
        assert.ok([...held.values()].reduce((sum, lease) => sum + lease.bytes, 0) <= budget);
      }
    }),
  );
});

test("BP-12 R-14 after two rounds of renewals the shares are max-min fair", () => {
  fc.assert(
    fc.property(wants, fc.integer({ min: 1, max: 3000 }), (wanted, budget) => {
      const held = wanted.map((wantBytes) => ({ wantBytes, bytes: 0 }));
      for (let round = 0; round < 2; round += 1)
        for (const lease of held)
          lease.bytes = leaseBytes(
            lease.wantBytes,
            held.filter((other) => other !== lease),
            budget,
          );
      for (const poor of held) {
        if (poor.bytes === poor.wantBytes) continue;
        for (const rich of held) assert.ok(rich.bytes <= poor.bytes + held.length, "integers of one division apart");
      }
    }),
  );
});

test("BP-12 R-14 a budget that has become smaller than what others hold gives nothing, and takes nothing", () => {
  assert.equal(leaseBytes(1000, [{ wantBytes: 5000, bytes: 3000 }], 2000), 0);
});
