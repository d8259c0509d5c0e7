/** who of several gateways takes the next connections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { loadConfig } from "ransomeye-kernel";
import { CliError } from "../src/errors.ts";
import { Grants } from "../src/roles/grants.ts";
import { assertConnectionsFit, connectionBudget } from "../src/supervisor/connection_budget.ts";
import { GateDesk } from "../src/supervisor/gate_desk.ts";
import { aheadConnections, type GateLoad, shares, unbounded } from "../src/supervisor/gate_share.ts";
import { gatewayProcesses, processNames } from "../src/supervisor/process_names.ts";
import { readyMsMax, type Restartable, restartOneByOne } from "../src/supervisor/rolling.ts";
import type { SocketHandle } from "../src/supervisor/shared_socket.ts";
import { manualClock } from "./manual_clock.ts";

const handle: SocketHandle = { getsockname: () => 0, close: () => undefined };

function load(connections: number, o: Partial<GateLoad> = {}): GateLoad {
  return { connections, connectionsMax: 1000, willing: true, ...o };
}

test("R-24 however the kernel prefers one gateway, none gets far ahead of the emptiest, and somebody always listens", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(600), { minLength: 2, maxLength: 6 }),
      fc.array(fc.record({ preferred: fc.nat(5), willing: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }) }), { maxLength: 300 }),
      (start, arrivals) => {
        const held = [...start];
        for (const { preferred, willing } of arrivals) {
          const loads = new Map(held.map((connections, i) => [String(i), load(connections, { willing: willing[i] ?? true })]));
          const share = shares(loads);
          const listening = held.map((_, i) => i).filter((i) => (share.get(String(i)) ?? 0) > (held[i] ?? 0));
          assert.ok(listening.length > 0, "somebody listens");
          const taker = listening.includes(preferred) ? preferred : (listening[0] ?? 0);
          held[taker] = (held[taker] ?? 0) + 1;
          const others = held.filter((_, i) => willing[i] === true);
          const grew = held[taker] ?? 0;
          if (willing[taker] === true)
            assert.ok(grew <= Math.floor(Math.min(...others.map((n) => n)) * 1.25) + aheadConnections + 1, `${held.join()} at ${taker}`);
        }
      },
    ),
  );
});

test("R-24 a gateway that is paused or full takes nothing while another can; where none can, all listen and refuse for themselves", () => {
  const one = new Map([
    ["a", load(5, { willing: false })],
    ["b", load(900)],
    ["c", load(1000)],
  ]);
  assert.deepEqual(
    [...shares(one)],
    [
      ["a", 0],
      ["b", 1000],
      ["c", 0],
    ],
  );
  const none = new Map([
    ["a", load(5, { willing: false })],
    ["c", load(1000)],
  ]);
  assert.deepEqual(
    [...shares(none)],
    [
      ["a", unbounded],
      ["c", unbounded],
    ],
  );
});

test("R-24 the desk gives the socket to whoever needs it and forgets a gateway that is silent or has left", () => {
  const clock = manualClock();
  const desk = new GateDesk(clock, handle);
  const told: string[] = [];
  const gate = (name: string) => ({
    name,
    shed: (connections: number) => told.push(`${name} sheds ${connections}`),
    grant: (max: number, socket: SocketHandle | undefined) => told.push(`${name} ${max}${socket === undefined ? "" : " socket"}`),
  });
  const [a, b] = [gate("a"), gate("b")];
  const heard = (who: typeof a, connections: number, accepting = true): string[] => {
    told.splice(0);
    desk.heard(who, { type: "load", ...load(connections), accepting });
    return told.splice(0);
  };
  desk.started(a);
  desk.started(b);
  assert.deepEqual(told.splice(0), ["a 32 socket", "b 32 socket"]);
  assert.deepEqual(heard(a, 0), ["a 1000"], "alone it may take all");
  assert.deepEqual(heard(b, 0), ["a 32"]);
  assert.deepEqual(heard(a, 32, false), [], "it has its share");
  assert.deepEqual(heard(b, 20), ["a 57 socket", "b 57"]);
  assert.deepEqual(heard(b, 20), [], "nothing new");
  clock.advance(10_000);
  assert.deepEqual(heard(b, 20), ["b 1000"], "a is silent and counts for nobody");
  assert.deepEqual(heard(a, 40), ["b 57"]);
  desk.left("b");
  assert.deepEqual(heard(a, 40), ["a 1000"]);
});

test("R-24 what stays uneven is sent elsewhere, a part at a time, and what evens out by itself is left alone", () => {
  const clock = manualClock();
  const desk = new GateDesk(clock, handle);
  const shed: number[] = [];
  const gate = (name: string) => ({ name, grant: () => undefined, shed: (connections: number) => shed.push(connections) });
  const [a, b] = [gate("a"), gate("b")];
  const after = (ms: number, atA: number, atB: number): void => {
    clock.advance(ms);
    desk.heard(b, { type: "load", ...load(atB), accepting: true });
    desk.heard(a, { type: "load", ...load(atA), accepting: true });
  };
  after(0, 900, 10);
  after(29_000, 900, 10);
  assert.deepEqual(shed, [], "they may be on their way");
  after(1000, 900, 10);
  assert.deepEqual(shed, [90]);
  after(9000, 810, 100);
  after(1000, 810, 100);
  assert.deepEqual(shed, [90, 81], "the next part after a pause");
  after(10_000, 560, 450);
  after(60_000, 560, 450);
  assert.deepEqual(shed, [90, 81], "near enough");
});

test("R-24 grants that come before their gateway wait for it, and no socket leaks", () => {
  const grants = new Grants();
  const closed: string[] = [];
  const socket = (name: string) => ({ close: () => void closed.push(name) });
  const [first, second] = [socket("first"), socket("second")];
  grants.put({ connectionsMax: 1, handle: first });
  grants.put({ connectionsMax: 2 });
  grants.put({ connectionsMax: 3, handle: second });
  assert.deepEqual(closed, ["first"]);
  const seen: unknown[] = [];
  grants.follow((grant) => seen.push(grant));
  grants.put({ connectionsMax: 4 });
  assert.deepEqual(seen, [{ connectionsMax: 3, handle: second }, { connectionsMax: 4 }]);
});

test("R-24 R-30 processes by the machine or by configuration, and their connections fit the server or nothing starts", () => {
  assert.deepEqual(
    [1, 2, 3, 5, 6, 32].map((cores) => gatewayProcesses(0, cores)),
    [1, 1, 1, 1, 2, 10],
  );
  assert.equal(gatewayProcesses(7, 2), 7);
  assert.deepEqual(processNames("gateway", 2), ["gateway-1", "gateway-2"]);
  assert.deepEqual(processNames("engine", 2), ["engine"]);
  const config = loadConfig({ env: {}, flags: { "gateway.processes": "4", "gateway.append_connections": "8" } });
  const needed = connectionBudget(config);
  assert.equal(needed - connectionBudget(config, 3), 9);
  assertConnectionsFit(needed, needed);
  assert.throws(
    () => assertConnectionsFit(needed, needed - 1),
    (error) => error instanceof CliError && error.code === "CLI_START_FAILED",
  );
});

test("R-24 a rolling restart: the next process's turn comes when the one before is ready, and one that does not come back ends it", async () => {
  const clock = manualClock();
  const steps: string[] = [];
  const doors = new Map<string, (left: boolean) => void>();
  const process = (name: string): Restartable => ({
    name,
    restart: () => {
      steps.push(`${name} leaves`);
      return new Promise((resolve) => doors.set(name, resolve));
    },
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const said: string[] = [];
  const o = { clock, drainMsMax: 100, say: (message: string) => said.push(message) };
  const rolling = restartOneByOne([process("a"), process("b"), process("c")], o);
  await turn();
  assert.deepEqual(steps, ["a leaves"]);
  doors.get("a")?.(true);
  await turn();
  assert.deepEqual(steps, ["a leaves", "b leaves"]);
  doors.get("b")?.(false);
  await turn();
  assert.match(said.join("\n"), /a is back\n.*\nb is back; it had not finished within 100 ms/);
  clock.advance(100 + readyMsMax);
  await assert.rejects(rolling, (error) => error instanceof CliError && error.code === "CLI_NOT_READY" && error.message.startsWith("c "));
});
