/**
 * Why: an agent's worth is that each line of each file arrives once, in order, whatever rotations and deaths do. Enforces: AG-1 to AG-6, X-6, P-8.
 */
import assert from "node:assert/strict";
import { chmod, mkdir, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { machineFacts } from "ransomeye-kernel";
import { FileReading } from "../src/follow/file_reading.ts";
import { Agent, Disk, Killed, type Log, logIn, recordLine, StandingClock, upTo } from "./follow_world.ts";

const suricata = "suricata_eve" as const;

async function setUp(pattern = "eve.json"): Promise<{ directory: string; log: Log; disk: Disk; clock: StandingClock; agent: () => Agent }> {
  const directory = await temporaryDirectory();
  const disk = new Disk(pattern);
  const clock = new StandingClock();
  const sources = [{ path: join(directory, pattern), format: suricata }];
  return { directory, log: logIn(directory, "eve.json"), disk, clock, agent: () => new Agent(disk, clock, { sources }) };
}

test("AG-1 lines that are appended are read once, in order, and a line that is not complete waits", async () => {
  const { log, disk, agent: start } = await setUp();
  const agent = start();
  await agent.rest();
  await log.write(3);
  await agent.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(3));
  await log.write(2, true);
  await agent.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(4));
  await log.complete();
  await agent.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(5));
  await agent.follower.close();
});

test("AG-2 a file that is renamed is read to its end before its successor, though its writer goes on for a while", async () => {
  const { log, disk, clock, agent: start } = await setUp();
  const agent = start();
  await log.write(3);
  await agent.rest();
  await rename(log.path, `${log.path}.1`);
  await writeFile(`${log.path}.1`, recordLine("eve.json", 4), { flag: "a" });
  await agent.follower.step();
  await writeFile(log.path, recordLine("eve.json", 6));
  await agent.follower.step();
  assert.deepEqual(disk.arrived(log.path), upTo(4), "the writer may still hold the old file");
  await writeFile(`${log.path}.1`, recordLine("eve.json", 5), { flag: "a" });
  clock.ms += 900;
  await agent.follower.step();
  await agent.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(6));
  assert.deepEqual(agent.events("follow_lost"), []);
  await agent.follower.close();
});

test("AG-2 rotations while the agent was down: the file is found beside its path, renamed or packed, and all that came after it is read", async () => {
  for (const pack of [false, true]) {
    const { log, disk, agent: start } = await setUp();
    const first = start();
    await log.write(3);
    await first.rest();
    await log.write(2);
    await first.follower.close();
    for (let i = 0; i < 3; i += 1) {
      await log.rotate();
      await log.write(2);
    }
    if (pack) await log.pack();
    const second = start();
    await second.rest();
    assert.deepEqual(disk.arrived(log.path), upTo(11));
    assert.deepEqual(second.events("follow_lost"), []);
    await second.follower.close();
  }
});

test("AG-3 a file that was cut and is written to while it is looked at is read once", async (t) => {
  const { log, disk, agent: start } = await setUp();
  const agent = start();
  await log.write(3);
  await agent.rest();
  await log.copyTruncate();
  await agent.rest();
  // The writer comes after every look at the beginning, and before the reading.
  let left = 3;
  const look = Reflect.get(FileReading.prototype, "firstBytes");
  t.mock.method(FileReading.prototype, "firstBytes", async function (this: FileReading) {
    const begins = await look.call(this);
    if (left-- > 0) await log.write(1);
    return begins;
  });
  for (let i = 0; i < 10; i += 1) await agent.rest();
  assert.ok(left < 3, "it was looked at");
  assert.deepEqual(disk.arrived(log.path), upTo(log.seq));
  assert.deepEqual(agent.events("follow_lost"), []);
  await agent.follower.close();
});

test("AG-3 a file that is copied and cut is finished from its copy", async () => {
  const { log, disk, agent: start } = await setUp();
  const first = start();
  await log.write(3);
  await first.rest();
  await log.write(2);
  await log.copyTruncate();
  await log.write(1);
  await first.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(6));
  await first.follower.close();
  await log.write(1);
  await log.copyTruncate();
  await log.write(1);
  await log.copyTruncate();
  await log.write(1);
  const second = start();
  await second.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(9));
  assert.deepEqual([...first.events("follow_lost"), ...second.events("follow_lost")], []);
  await second.follower.close();
});

test("AG-4 what was cut away without a copy is said aloud, and reading goes on with what is there", async () => {
  const { log, disk, agent: start } = await setUp();
  const agent = start();
  await log.write(3);
  await agent.rest();
  await truncate(log.path, 0);
  await log.write(2);
  await agent.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(5));
  assert.equal(agent.events("follow_lost")[0]?.["code"], "SHIP_FOLLOW_LOST");
  // Written anew in place, and longer than before: only its beginning tells.
  await writeFile(
    log.path,
    upTo(20)
      .map((n) => recordLine("other", n + 5))
      .join(""),
  );
  await agent.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(25));
  assert.equal(agent.events("follow_lost").length, 2);
  await agent.follower.close();
});

test("AG-4 a removed file and one in its place, with the same inode or not, are two files", async () => {
  const { log, disk, agent: start } = await setUp();
  const agent = start();
  await log.write(2);
  await agent.rest();
  await rm(log.path);
  await agent.rest();
  await log.write(2);
  await agent.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(4));
  await agent.follower.close();
  await rm(log.path);
  await log.write(2);
  const second = start();
  await second.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(6));
  assert.equal(second.events("follow_lost").length, 1, "what the removed file still held is not known");
  await second.follower.close();
});

test("AG-5 files that appear later, in folders that appear later, are followed; what a pattern finds moved away is not a source of its own", async () => {
  const directory = await temporaryDirectory();
  const disk = new Disk("glob");
  const agent = new Agent(disk, new StandingClock(), { sources: [{ path: join(directory, "*", "eve*"), format: suricata }] });
  await agent.rest();
  await mkdir(join(directory, "a"));
  const log = logIn(join(directory, "a"), "eve.json");
  const other = logIn(join(directory, "a"), "eve-lan.json");
  await log.write(2);
  await agent.rest();
  await log.rotate();
  await log.write(1);
  await log.rotate();
  await log.pack();
  await log.write(1);
  await other.write(2);
  await agent.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(4));
  assert.deepEqual(disk.arrived(other.path), upTo(2));
  assert.equal(new Set(disk.sent.map(({ path }) => path)).size, 2);
  await agent.follower.close();
});

test("AG-5 what cannot be read is named once and tried again: folders, pipes' places, permissions", async (t) => {
  const { directory, log, disk, clock, agent: start } = await setUp();
  await mkdir(log.path);
  const agent = start();
  await agent.rest();
  assert.equal(agent.events("follow_blocked").length, 1);
  await rm(log.path, { recursive: true });
  await log.write(2);
  clock.ms += 10_000;
  await agent.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(2));
  await agent.follower.close();
  if (machineFacts().userId === 0) {
    t.diagnostic("root may read everything; permissions are not tried");
    return;
  }
  const closed = logIn(directory, "eve.json");
  await chmod(closed.path, 0);
  const second = start();
  await second.rest();
  assert.equal(second.events("follow_blocked").length, 1);
  await chmod(closed.path, 0o600);
  clock.ms += 10_000;
  await second.rest();
  assert.deepEqual(second.events("follow_lost"), [], "a file that could not be opened for a while is not lost");
  await second.follower.close();
});

test("P-8 garbage, huge lines and half a file of zeros cost themselves", async () => {
  const { log, disk, agent: start } = await setUp();
  const agent = start();
  await log.write(1);
  await writeFile(
    log.path,
    Buffer.concat([Buffer.alloc(5000), Buffer.from("\n\xff\xfe{{{\n"), Buffer.alloc(3 * 1024 * 1024, "x"), Buffer.from("\n")]),
    { flag: "a" },
  );
  await log.write(1);
  await agent.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(2));
  assert.ok(agent.events("follow_invalid").length > 0);
  await agent.follower.close();
});

test("AG-7 a sink that takes nothing makes the reader stand still, and nothing is lost by it", async () => {
  const { log, disk, agent: start } = await setUp();
  const agent = start();
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  disk.gate = gate;
  await log.write(5);
  const waiting = agent.follower.step();
  await log.write(5000);
  assert.deepEqual(disk.arrived(log.path), []);
  const [state] = await agent.follower.states();
  assert.ok((state?.lagBytes ?? 0) > 1_000_000, "what was not read yet is told");
  open();
  await waiting;
  await agent.rest();
  assert.deepEqual(disk.arrived(log.path), upTo(5005));
  assert.deepEqual(
    (await agent.follower.states()).map(({ lagBytes, lagMs }) => [lagBytes, lagMs]),
    [[0, 0]],
  );
  await agent.follower.close();
});

test("AG-6 X-6 kill -9 at any call, rotations at any time: every line of every file once and in order, with a bounded cursor", async () => {
  for (let seed = 1; seed <= 24; seed += 1) {
    const directory = await temporaryDirectory();
    const disk = new Disk(`kill ${seed}`);
    const { random } = disk;
    const pick = (n: number): number => random.uint32() % n;
    const clock = new StandingClock();
    const logs = Array.from({ length: 1 + pick(seed % 8 === 0 ? 40 : 3) }, (_, i) => ({
      log: logIn(directory, `log${i}.json`),
      copies: pick(2) === 0,
    }));
    const start = (): Agent => new Agent(disk, clock, { sources: [{ path: join(directory, "log*"), format: suricata }] });
    let agent = start();
    // What was moved away before an agent ever saw the path is none of its business.
    for (const { log } of logs) await log.write(1);
    await agent.rest();
    let deaths = 0;
    const live = async (work: () => Promise<unknown>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        deaths += 1;
        await agent.follower.close();
        disk.crash();
        agent = start();
      }
    };
    for (let i = 0; i < 40; i += 1) {
      for (const { log, copies } of logs) {
        if (pick(3) === 0) await log.write(1 + pick(3), pick(3) === 0);
        if (pick(12) === 0) await (copies ? log.copyTruncate() : log.rotate());
        if (pick(20) === 0) await log.pack();
      }
      if (pick(5) === 0) disk.killIn = 1 + pick(10);
      clock.ms += pick(800);
      if (pick(3) > 0) await live(() => agent.follower.step());
    }
    disk.killIn = undefined;
    for (const { log } of logs) await log.complete();
    await agent.rest();
    for (const { log } of logs) assert.deepEqual(disk.arrived(log.path), upTo(log.seq), `seed ${seed}, ${log.path}, ${deaths} deaths`);
    assert.deepEqual(agent.events("follow_lost"), [], `seed ${seed}`);
    for (const { cursor } of disk.sent) assert.ok(Buffer.byteLength(cursor) <= 4096);
    await agent.follower.close();
    await rm(directory, { recursive: true });
  }
});

test("AG-1 a link is followed to its file, once, and when it points to another file that is a rotation", async () => {
  const { directory, disk, clock } = await setUp();
  await mkdir(join(directory, "volume"));
  const [first, second] = [logIn(join(directory, "volume"), "one.json"), logIn(join(directory, "volume"), "two.json")];
  const path = join(directory, "linked.json");
  await first.write(3);
  await symlink(first.path, path);
  const agent = new Agent(disk, clock, { sources: [{ path, format: suricata }] });
  await agent.rest();
  await agent.rest();
  assert.deepEqual(disk.arrived(path), upTo(3));
  assert.equal(agent.events("follow_file").length, 1);
  second.seq = 3;
  await second.write(2);
  await rm(path);
  await symlink(second.path, path);
  await agent.rest();
  assert.deepEqual(disk.arrived(path), upTo(5));
  assert.deepEqual(agent.events("follow_lost"), []);
  await agent.follower.close();
});

test("P-8 a file that cannot be read is told once, however often it is tried, and again when it can", async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, "eve.json");
  const disk = new Disk("blocked");
  await writeFile(path, "\x01\x02 nothing that is known\n".repeat(500));
  const agent = new Agent(disk, new StandingClock(), { sources: [{ path, format: undefined }] });
  for (let i = 0; i < 10; i += 1) {
    agent.clock.ms += 6000;
    await agent.rest();
  }
  assert.deepEqual(
    agent.events("follow_blocked").map(({ code }) => code),
    ["SHIP_FORMAT_UNKNOWN"],
  );
  assert.equal(agent.events("follow_file").length, 1);
  await writeFile(path, recordLine("eve.json", 1));
  agent.clock.ms += 6000;
  await agent.rest();
  assert.deepEqual(disk.arrived(path), [1]);
  assert.equal(agent.events("follow_file").length, 2);
  assert.equal((await agent.follower.states())[0]?.blocked, null);
  await agent.follower.close();
});

test("AG-5 logs that come and go by their names: what is gone makes room for what comes, in the agent and in its checkpoint", async () => {
  const { directory, disk, clock } = await setUp();
  const sources = [{ path: join(directory, "day_*.json"), format: suricata }];
  const agent = new Agent(disk, clock, { sources, pathsMax: 3 });
  const days = Array.from({ length: 8 }, (_, i) => logIn(directory, `day_${String(i)}.json`));
  for (const [at, log] of days.entries()) {
    await log.write(2);
    await agent.rest();
    assert.deepEqual(disk.arrived(log.path), upTo(2));
    const before = days[at - 1];
    if (before !== undefined) await rm(before.path);
    await agent.rest();
  }
  assert.deepEqual(agent.events("follow_blocked"), []);
  assert.ok((await agent.follower.states()).length <= 3);
  clock.ms += 60_000;
  await agent.rest();
  const { files } = JSON.parse(disk.checkpoint ?? "") as { files: unknown[] };
  assert.ok(files.length <= 3, disk.checkpoint);
  // Those that are still there give way to nobody.
  for (const log of days.slice(0, 4)) await log.write(1);
  await agent.rest();
  assert.deepEqual(
    agent.events("follow_blocked").map(({ code }) => code),
    ["SHIP_FOLLOW_MANY"],
  );
  await agent.follower.close();
});

test("P-8 a file that has shown no format yet is no file that is up to date", async () => {
  const { directory, disk, clock } = await setUp();
  const path = join(directory, "garbage");
  await writeFile(path, "nothing\nthat is known\n");
  const agent = new Agent(disk, clock, { sources: [{ path, format: undefined }] });
  await agent.rest();
  assert.equal((await agent.follower.states())[0]?.blocked, "SHIP_FORMAT_UNKNOWN");
  await writeFile(path, recordLine("garbage", 1), { flag: "a" });
  await agent.rest();
  assert.equal((await agent.follower.states())[0]?.blocked, null);
  assert.deepEqual(disk.arrived(path), [1]);
  await agent.follower.close();
});
