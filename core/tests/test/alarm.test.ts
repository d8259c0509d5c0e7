/**
 * Why: what a system promises it must also deny, loudly, when it no longer holds: an operator asks `audit` and `status`.
 * Enforces: on a real system, one event lost and another doubled (which no count can see) makes `audit` and `status` fail; a partition whose
 * history was rewritten is shown by `status`, goes on after `reconcile`, and stays stopped while rows and log contradict each other; a paused bus is
 * shown, and so is who is refused for flooding and whose identity seems to be in use twice; each process serves its metrics.
 * Forbids: alarms that only ever stay silent.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { tamper } from "ransomeye-db/testing";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { loadIdentity } from "ransomeye-sdk";
import { writeNumberedEvents } from "../src/crash/numbered_events.ts";
import { floodUntilQuarantined } from "../src/harness/flooder.ts";
import { RunningSystem } from "../src/harness/running_system.ts";
import { sharedSystem } from "../src/harness/shared_system.ts";

const EVENTS = 500;
const FOUND = 1;
/** Until the flood, which is not over for ten minutes, it is as it was. */
const shared = sharedSystem(["--set", "gateway.quarantine_ms_min=600000"]);

interface Status {
  readonly paused: string | null;
  readonly ledger: { readonly balanced: boolean } | null;
  readonly stopped_partitions: readonly number[];
}
interface Reconciled {
  readonly partitions: readonly { readonly part: number }[];
  readonly producers: readonly { readonly producer: string }[];
  readonly reconciled: number | null;
}

async function shipped(system: RunningSystem): Promise<void> {
  const file = join(system.dataDir, "numbered.ndjson");
  await writeNumberedEvents(file, EVENTS, 7, OCSF_VERSION);
  assert.equal((await system.run("ship", file, "--wait", "stored")).exitCode, 0);
}

/** Asks until the answer is as it must become; a test that hangs is ended by its runner. */
async function until<T>(ask: () => Promise<T>, good: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (good(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test("R-33 a bus that takes nothing is no quiet one: status says why, and fails (FM-10)", async () => {
  const system = await shared();
  assert.equal((await system.json<Status>("status")).paused, null);
  const administrator = await system.administrator();
  try {
    await administrator.query("UPDATE bus.state SET paused_reason = 'maintenance'");
    const shown = await system.run("status");
    assert.equal(shown.exitCode, FOUND);
    assert.match(shown.stdout, /PAUSED +maintenance/);
    await administrator.query("UPDATE bus.state SET paused_reason = NULL");
    // The gateway asks the bus once a second.
    await until(
      () => system.run("status"),
      ({ exitCode }) => exitCode === 0,
    );
  } finally {
    await administrator.end();
  }
});

test("TB-8 R-6 an identity that seems to be in use twice is shown with its evidence until an operator has settled it", async () => {
  const system = await shared();
  assert.equal((await system.run("producer", "enroll", "twin", "--kind", "linux")).exitCode, 0);
  const { producer } = await loadIdentity(join(system.dataDir, "identities", "twin"));
  assert.deepEqual(await system.run("producer", "clones"), {
    exitCode: 0,
    stdout: "no identity is suspected of being in use twice\n",
    stderr: "",
  });
  // As a gateway tells it; the address is a stranger's word.
  const gateway = connect((await system.runtime()).registrySocket);
  await once(gateway, "connect");
  const suspicion = { producer, evidence: "address_flapping", detail: "192.0.2.7 and \u001b[2J192.0.2.8" };
  for (let times = 1; times <= 2; times += 1) gateway.write(`${JSON.stringify({ op: "suspect", suspicion })}\n`);
  type Clones = { clones: { producer: string; name: string; evidence: string; times: number; resolution: string | null }[] };
  const clones = (...more: string[]): Promise<Clones> => system.json<Clones>("producer", "clones", ...more);
  const { clones: found } = await until(clones, (answer) => answer.clones[0]?.times === 2);
  gateway.destroy();
  assert.deepEqual(
    found.map((one) => [one.producer, one.name, one.evidence, one.resolution]),
    [[producer, "twin", "address_flapping", null]],
  );
  const shown = await system.run("producer", "clones");
  assert.equal(shown.exitCode, FOUND);
  assert.match(shown.stdout, new RegExp(`twin +${producer} +address_flapping +2 `));
  assert.match(shown.stdout, /twin: sessions alternate between two addresses; 192\.0\.2\.7 and [^\u001b]*192\.0\.2\.8/);
  assert.match(shown.stdout, /next: ransomeye producer suspend \| revoke \| accept-clone PRODUCER/);

  assert.equal((await system.run("producer", "accept-clone", "twin", "--reason", "moves between networks")).exitCode, 0);
  assert.deepEqual([(await clones()).clones, (await system.run("producer", "clones")).exitCode], [[], 0]);
  assert.deepEqual(
    (await clones("--all")).clones.map(({ name, resolution }) => [name, resolution]),
    [["twin", "moves between networks"]],
  );
});

test("each process serves its metrics on a socket of its own, and the supervisor keeps a log of the database", async () => {
  const system = await shared();
  await shipped(system);
  for (const role of ["registry", "keeper", "gateway-1", "engine", "supervisor"])
    assert.match(await system.metrics(role), /^process_cpu_user_seconds_total /m, role);
  assert.match(await system.metrics("engine"), new RegExp(`^ransomeye_engine_rows_total\\b.* ${EVENTS}$`, "m"));
  assert.match(await system.metrics("supervisor"), /^ransomeye_db_server_starts_total 1$/m);
  assert.match(await readFile(join(system.dataDir, "logs", "supervisor.log"), "utf8"), /"event":"db_server_started"/);
});

test("BP-18 ING-8 who floods a gateway is named by status, with the offence and the end of it", async () => {
  const system = await shared();
  assert.equal((await system.run("status")).exitCode, 0);
  const producer = await floodUntilQuarantined(system, "flooder");
  // The gateway reports once a second.
  const shown = await until(
    () => system.run("status"),
    ({ stdout }) => stdout.includes("QUARANTINE"),
  );
  assert.equal(shown.exitCode, FOUND);
  const line = new RegExp(`^QUARANTINE ${producer} at gateway-1 until (\\S+): INGEST_(?:PROTOCOL_VIOLATION|RECONNECT_FLOOD)$`, "m").exec(
    shown.stdout,
  );
  const { quarantine } = await system.json<{ quarantine: { producer: string; gateway: string; since_us: number; until_us: number }[] }>(
    "status",
  );
  assert.deepEqual(
    quarantine.map((one) => [one.producer, one.gateway, one.until_us > one.since_us]),
    [[producer, "gateway-1", true]],
  );
  assert.equal(Date.parse(line?.[1] ?? ""), Math.floor((quarantine[0]?.until_us ?? 0) / 1000), shown.stdout);
});

test("R-19 one event lost and another doubled: no count sees it, audit and status fail", async () => {
  await using system = await RunningSystem.start();
  await shipped(system);
  const status = (): Promise<Status> => system.json<Status>("status");
  await until(status, ({ ledger }) => ledger?.balanced === true);
  assert.equal((await system.run("status")).exitCode, 0);
  const administrator = await system.administrator();
  try {
    assert.equal(await tamper(administrator, "data.events_agent", "UPDATE data.events_agent SET seq = 7 WHERE seq = 8"), 1);
    const audit = await system.run("audit", "--json");
    const ledger = JSON.parse(audit.stdout) as Record<string, unknown>;
    assert.equal(audit.exitCode, FOUND);
    assert.deepEqual([ledger["balanced"], ledger["imbalance"], ledger["misplaced_epochs"]], [false, 0, 1]);
    assert.match((await system.run("audit")).stdout, /NOT BALANCED[^]*SEQUENCE NUMBERS ARE MISSING/);
    // What the keeper has folded already is the sums' until somebody asks for a recount; a head that moved is seen at once.
    assert.equal((await administrator.query("UPDATE data.sink_head SET seq = seq - 1")).rowCount, 1);
    await until(status, ({ ledger }) => ledger?.balanced === false);
    const shown = await system.run("status");
    assert.equal(shown.exitCode, FOUND);
    assert.match(shown.stdout, /NOT BALANCED/);
  } finally {
    await administrator.end();
  }
});

test("R-2 a partition whose history was rewritten is shown, and is reconciled only where rows and log agree (FM-14)", async () => {
  await using system = await RunningSystem.start();
  await shipped(system);
  const administrator = await system.administrator();
  const flip = (column: string): string => `${column} = set_byte(${column}, 0, get_byte(${column}, 0) # 1)`;
  const reconcile = async (...args: string[]): Promise<{ exitCode: number | null; found: Reconciled }> => {
    const { exitCode, stdout } = await system.run("reconcile", ...args, "--json");
    return { exitCode, found: JSON.parse(stdout) as Reconciled };
  };
  const nothing = { partitions: [], producers: [], reconciled: null };
  try {
    assert.deepEqual(await reconcile(), { exitCode: 0, found: nothing });
    await administrator.query(`UPDATE bus.consumer_offset SET ${flip("entry_hash")} WHERE off > 0`);
    await administrator.query(`UPDATE data.sink_head SET ${flip("hash")}`);
    await system.kill("engine");
    const { stopped_partitions: stopped } = await system.json<Status>("status");
    assert.equal(stopped.length, 1);
    assert.match(
      await readFile(join(system.dataDir, "logs", "supervisor.log"), "utf8"),
      /"event":"child_ended","child":"engine","how":"signal SIGKILL"/,
    );
    assert.equal((await system.run("status")).exitCode, FOUND);
    const part = String(stopped[0]);

    const contradicted = await reconcile(part);
    assert.equal(contradicted.exitCode, FOUND);
    assert.equal(contradicted.found.reconciled, null);
    assert.equal(contradicted.found.producers.length, 1);
    assert.deepEqual((await system.json<Status>("status")).stopped_partitions, stopped, "nothing was changed");

    await administrator.query(`UPDATE data.sink_head SET ${flip("hash")}`);
    assert.equal((await reconcile()).exitCode, FOUND);
    const done = await reconcile(part);
    assert.deepEqual([done.exitCode, done.found.reconciled], [0, stopped[0]]);
    await shipped(system);
    assert.equal((await system.run("audit", "--wait-idle", "60")).exitCode, 0);
    assert.equal((await system.json<{ stored: number }>("audit")).stored, 2 * EVENTS);
    assert.deepEqual(await reconcile(), { exitCode: 0, found: nothing });
    assert.deepEqual(await reconcile(part), { exitCode: 0, found: nothing });
  } finally {
    await administrator.end();
  }
});
