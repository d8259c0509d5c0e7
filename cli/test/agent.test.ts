/**
 * Why it exists: an agent is started by hand once and by a service manager for years; both must hear at once what is wrong.
 * Enforces: one agent in a data directory; an identity that is missing, a path that is, and an agent that cannot go on are told, and the last one ends.
 * Forbids: a gateway: nobody answers here, and what is read waits in the spool.
 */
import assert from "node:assert/strict";
import "reflect-metadata";
import { type ChildProcess, spawn } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { access, appendFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { producerSpiffeId } from "ransomeye-ingestion/protocol";
import { recordingTelemetry, sleep, systemClock, systemRandom } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { createEnrolmentRequest, saveIdentity, SdkError } from "ransomeye-sdk";
import { AgentLanes } from "../src/agent/agent_lanes.ts";
import { exitOf, ours } from "../src/errors.ts";
import { createRoot, openAuthority } from "../src/registry/authority.ts";
import type { Lanes } from "../src/ship/lanes.ts";
import { dataDirAt } from "../src/supervisor/data_dir.ts";

const bin = fileURLToPath(new URL("../../bin/ransomeye.js", import.meta.url));
const producer = "0190a0b0-c0d0-7000-8000-0000000000ab";

interface Run {
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly code: Promise<number | null>;
}

function run(t: TestContext, dataDir: string, ...args: readonly string[]): Run {
  const child = spawn(process.execPath, [bin, ...args, "--data-dir", dataDir], { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  t.after(() => child.kill("SIGKILL"));
  return { child, said: () => text, code: new Promise((resolve) => child.once("close", resolve)) };
}

const until = async (what: () => Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 1000 && !(await what()); i += 1) await sleep(systemClock, 20);
  assert.ok(await what());
};

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** A data directory with one identity, as it would lie on another host, and a log to follow. */
async function host(): Promise<{ dataDir: string; log: string; agent: readonly string[] }> {
  const dataDir = await temporaryDirectory();
  const { batchKey, tlsKeyPem } = createEnrolmentRequest({ kind: "linux", name: "web" }, systemRandom);
  const root = await createRoot("test.local", systemClock, systemRandom);
  const authority = await openAuthority(root, systemClock, systemRandom);
  const spiffeId = producerSpiffeId("test.local", "linux", producer);
  const { certPem } = await authority.issueProducer({ spiffeId, publicKey: createPublicKey(tlsKeyPem) });
  await mkdir(join(dataDir, "identities"), { mode: 0o700 });
  await saveIdentity(join(dataDir, "identities", "web"), {
    ...{ producer, kind: "linux", trustDomain: "test.local", tlsKeyPem, tlsCertPem: certPem, caPem: root.certPem, batchKey },
  });
  const log = join(dataDir, "messages");
  return { dataDir, log, agent: ["agent", log, "--producer", "web", "--gateway", "127.0.0.1:9", "--set", "agent.drain_ms_max=10"] };
}

const line = "<34>1 2026-01-05T10:00:00Z web app 1 ID1 - hello\n";

test("an agent without its identity, or with a name that is none, says so at once", async (t) => {
  const { dataDir, log } = await host();
  for (const [name, exit, says] of [
    ["nobody", 7, /CLI_IDENTITY_MISSING: there is no identity nobody in .*identities\n {2}Enrol it first/],
    ["../web", 2, /CLI_USAGE: --producer \.\.\/web/],
  ] as const) {
    const agent = run(t, dataDir, "agent", log, "--producer", name, "--gateway", "127.0.0.1:9");
    assert.equal(await agent.code, exit, agent.said());
    assert.match(agent.said(), says);
  }
  assert.equal(await isThere(join(dataDir, "agent.json")), false);
});

test("one agent runs in a data directory; a second takes nothing from it; what has ended is not said to run", async (t) => {
  const { dataDir, log, agent } = await host();
  const first = run(t, dataDir, ...agent);
  const metrics = join(dataDir, "agent.metrics.sock");
  await until(async () => (await isThere(join(dataDir, "agent.json"))) && isThere(metrics));
  assert.match(first.said(), new RegExp(`nothing is at ${log} yet`));
  const second = run(t, dataDir, ...agent);
  assert.equal(await second.code, 8, second.said());
  assert.match(second.said(), new RegExp(`CLI_ALREADY_RUNNING: process ${String(first.child.pid)}`));
  assert.ok(await isThere(metrics));
  const status = async (): Promise<{ exit: number | null; running: boolean; paths: { blocked: string | null }[] }> => {
    const asked = run(t, dataDir, "agent", "--status", "--json");
    const exit = await asked.code;
    return { exit, ...(JSON.parse(asked.said()) as { running: boolean; paths: { blocked: string | null }[] }) };
  };
  const { exit, running } = await status();
  assert.deepEqual([exit, running], [0, true]);
  first.child.kill("SIGTERM");
  assert.equal(await first.code, 0, first.said());
  const after = await status();
  assert.deepEqual([after.exit, after.running], [1, false]);
});

test("an agent that cannot go on ends, and tells what kept it", async (t) => {
  const { dataDir, log, agent } = await host();
  const one = run(t, dataDir, ...agent);
  await until(() => isThere(join(dataDir, "agent.json")));
  // Where the checkpoint belongs stands something that cannot be replaced.
  await mkdir(join(dataDir, "spool", "web", "follow.json"));
  await writeFile(join(dataDir, "spool", "web", "follow.json", "in_the_way"), "");
  await appendFile(log, line);
  assert.notEqual(await one.code, 0);
  assert.match(one.said(), /follow\.json/);
});

test("SIGTERM ends an agent whose spool is full while no gateway answers, within its bound; it goes on at the next start", {
  timeout: 60_000,
}, async (t) => {
  const { dataDir, log, agent } = await host();
  await writeFile(log, line.repeat(60_000));
  const status = join(dataDir, "agent.json");
  for (let life = 0; life < 2; life += 1) {
    await rm(status, { force: true });
    const one = run(t, dataDir, ...agent, "--set", "agent.spool_bytes_max=16 MiB");
    // The spool is full, and a part of the file is not read.
    await until(async () => {
      const { spool_bytes: spooled, lag_bytes: behind } = JSON.parse(await readFile(status, "utf8").catch(() => "{}")) as Record<
        string,
        number
      >;
      return (spooled ?? 0) > 4 * 1024 * 1024 && (behind ?? 0) > 0;
    });
    one.child.kill("SIGTERM");
    assert.equal(await one.code, 0, one.said());
    assert.match(one.said(), /is read again at the next start/);
  }
});

test("a failed system call is told as what it is, with the file, and is no defect", () => {
  const failed = (code: string): Error => Object.assign(new Error(`${code}: no`), { code, syscall: "write" });
  assert.deepEqual(
    ["ENOSPC", "EACCES"].map((code) => exitOf(ours(failed(code)))),
    ["found", "usage"],
  );
  assert.equal(exitOf(ours(new TypeError("x is not a function"))), "defect");
});

test("an agent ends where its producer has stopped for good, also when there is nothing to read", async () => {
  const dataDir = dataDirAt(await temporaryDirectory());
  const stopped = new SdkError("SDK_REFUSED", "INGEST_PRODUCER_REVOKED: the producer is revoked");
  let over = false;
  const lanes = {
    laneNamed: () => Promise.resolve({}),
    openCursorOf: () => undefined,
    refuseStopped(): void {
      if (over) throw stopped;
    },
  } as unknown as Lanes;
  const ends = new AbortController();
  const o = { lanes, dataDir, producer: "web", clock: systemClock, telemetry: recordingTelemetry(), stopped: ends.signal };
  const handover = await AgentLanes.open(o);
  await handover.rest();
  over = true;
  await assert.rejects(handover.rest(), stopped);
  assert.equal(exitOf(stopped), "found");
});
