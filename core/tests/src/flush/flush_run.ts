/**
 * Why: one run of the proof: the whole system and a sender, watched while they work.
 * Enforces: PostgreSQL with all its backends, the gateway and the sender are held by one tracer before the first frame; the verdict comes from the trace alone.
 * Forbids: taking part. The sender's key log is the only thing that another sender would not write.
 */
import { type ChildProcess, fork } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Runtime, RunningSystem } from "../harness/running_system.ts";
import { conversationOf } from "./conversation.ts";
import { DurableFiles, LogPages } from "./durability.ts";
import { judge, type Mark, type Verdict } from "./judge.ts";
import { type Order, tokenOf } from "./order.ts";
import { tlsStreams } from "./tls_streams.ts";
import { type Call, readTrace } from "./trace_file.ts";
import { Tracer, withDescendants } from "./tracer.ts";

const producers = 2;
const sender = fileURLToPath(new URL("./sender_main.js", import.meta.url));

/** Sends `frames` frames through a fresh system and judges what the tracer saw. */
export async function flushRun(frames: number): Promise<Verdict> {
  await using system = await RunningSystem.start();
  const callsPerProducer = Math.ceil(frames / producers);
  const identities = Array.from({ length: producers }, (_, n) => join(system.dataDir, `identity-${n}`));
  for (const [n, identity] of identities.entries()) {
    const result = await system.run("producer", "enroll", `flush-${n}`, "--kind", "linux", "--out", identity);
    if (result.exitCode !== 0) throw new Error(`a producer could not be enrolled: ${result.stderr}`);
  }
  const runtime = await system.runtime();
  const { gateway } = runtime;
  const order: Order = { identities, gateway, directory: system.dataDir, callsPerProducer };
  const [trace, keyLog] = [join(system.dataDir, "trace"), join(system.dataDir, "tls_keys")];
  await sendUnderTrace(runtime, order, trace, keyLog);
  const tokens = identities.flatMap((_, producer) => Array.from({ length: callsPerProducer }, (_unused, call) => tokenOf(producer, call)));
  return await judgeTrace(trace, await readFile(keyLog, "utf8"), system.dataDir, tokens);
}

async function sendUnderTrace(runtime: Runtime, order: Order, trace: string, keyLog: string): Promise<void> {
  const child = fork(sender, [], { execArgv: [`--tls-keylog=${keyLog}`, "--no-warnings"] });
  try {
    await heard(child, "ready");
    const roots = [runtime.postgres?.pid, runtime.children.find(({ role }) => role === "gateway")?.pid, child.pid];
    const pids = async (): Promise<number[]> => (await Promise.all(roots.map((pid) => withDescendants(pid ?? 0)))).flat();
    const tracer = await Tracer.attach(pids, trace);
    try {
      child.send(order);
      await heard(child, "done");
    } finally {
      await tracer.stop();
    }
  } finally {
    if (child.connected) child.disconnect();
  }
}

/** Waits for the sender's word; rejects when it ends without it. */
function heard(child: ChildProcess, word: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the sender has ended (${code}) without saying ${word}`)));
    child.on("message", (said) => {
      if (said === word) resolve();
    });
  });
}

async function judgeTrace(trace: string, keyLog: string, directory: string, tokens: readonly string[]): Promise<Verdict> {
  const pages = new LogPages();
  const [spool, log] = [new DurableFiles(), new DurableFiles((write) => pages.textOf(write))];
  const sent: Call[] = [];
  const marks: Mark[] = [];
  for await (const call of readTrace(trace)) {
    if (call.file.startsWith("socket:")) sent.push(call);
    else if (call.file.startsWith(join(directory, "spool-"))) spool.take(call);
    else if (call.file.includes("/pg_wal/")) log.take(call);
    else if (call.file === join(directory, "marks")) marks.push(markOf(call));
  }
  return judge({ conversation: conversationOf(tlsStreams(sent, keyLog)), marks, tokens, spool, log });
}

function markOf({ bytes, begins }: Call): Mark {
  const [settled, token = ""] = bytes.toString().trim().split(" ");
  return { settled: settled === "spooled" ? "spooled" : "receipted", token, at: begins };
}
