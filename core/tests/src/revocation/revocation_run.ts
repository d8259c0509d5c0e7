/**
 * Why: promise 4 says within five seconds, and means the real processes: command, registry, socket, gateway, stream.
 * Enforces: machines enrol over the network with a token; each opens a stream; each is revoked, suspended, or loses its certificate or its batch key by
 *   the operator's command; the stream ends with the code that says so, measured from before the command starts; the same certificate opens no other.
 * Forbids: reaching into a process, and a stream that was resumed.
 */
import { X509Certificate } from "node:crypto";
import { createServer } from "node:net";
import { join } from "node:path";
import { keyIdOf, rawPublicKey } from "ransomeye-ingestion/protocol";
import { systemClock, systemRandom } from "ransomeye-kernel";
import { enrolWithToken, type ProducerIdentity, type RegistryContext } from "ransomeye-sdk";
import { plainHello, TestClient } from "../gate/test_client.ts";
import { RunningSystem } from "../harness/running_system.ts";

/** How a right is taken away, and the code that a stream then ends with. */
const ways = [
  { name: "revoke", code: "INGEST_PRODUCER_REVOKED", again: "INGEST_PRODUCER_REVOKED" },
  { name: "suspend", code: "INGEST_PRODUCER_SUSPENDED", again: "INGEST_PRODUCER_SUSPENDED" },
  { name: "certificate", code: "INGEST_CERT_REVOKED", again: "INGEST_CERT_REVOKED" },
  // The certificate is still good: whoever has lost a batch key may connect, and can sign nothing.
  { name: "key", code: "INGEST_KEY_RETIRED", again: undefined },
] as const;

/** One stream that was to end. */
export interface Closing {
  readonly way: string;
  readonly expected: string;
  readonly code: string;
  /** From before the command started to the end of the stream. */
  readonly ms: number;
  /** What a new connection with the same certificate came to; undefined where it is still good. */
  readonly again: string | undefined;
  readonly expectedAgain: string | undefined;
  readonly ok: boolean;
}

export const closedWithinMs = 5000;

/** Runs `streams` of them on a system of their own. */
export async function revocationRun(streams: number, told: (closing: Closing) => void): Promise<readonly Closing[]> {
  await using running = await startEnrolling(streams);
  const { system, registry, token } = running;
  const gateway = (await system.runtime()).gateway.port;
  const closings: Closing[] = [];
  for (let i = 0; i < streams; i += 1) {
    const way = ways[i % ways.length] ?? ways[0];
    const directory = join(system.dataDir, `machine-${i}`);
    const { identity, name } = await enrolWithToken(registry, { directory, token, kind: "linux" });
    const client = await openStream(gateway, identity);
    const startedMs = systemClock.monotonicMs();
    const ended = client.ended.then((ending) => ({ code: ending.code, ms: Math.round(systemClock.monotonicMs() - startedMs) }));
    const command = await system.run("producer", ...commandOf(way.name, name, identity));
    if (command.exitCode !== 0) throw new Error(`the command failed: ${command.stderr}`);
    const { code, ms } = await ended;
    client.close();
    const again = way.again === undefined ? undefined : await refusal(gateway, identity);
    const closing = {
      way: way.name,
      expected: way.code,
      code,
      ms,
      again,
      expectedAgain: way.again,
      ok: code === way.code && again === way.again && ms <= closedWithinMs,
    };
    closings.push(closing);
    told(closing);
  }
  return closings;
}

/** A system whose registry answers agents, and a token for `machines` of them. */
export interface Enrolling extends AsyncDisposable {
  readonly system: RunningSystem;
  readonly registry: RegistryContext;
  readonly token: string;
}

export async function startEnrolling(machines: number, flags: readonly string[] = []): Promise<Enrolling> {
  const port = await freePort();
  const system = await RunningSystem.start(["--set", "enrolment.enabled=true", "--set", `enrolment.listen=127.0.0.1:${port}`, ...flags]);
  const { token } = await system.json<{ token: string }>(
    ...["producer", "token", "create", "--name", "machine", "--kind", "linux", "--uses", String(machines)],
  );
  const registry = { address: { host: "127.0.0.1", port }, clock: systemClock, random: systemRandom, timeoutMs: 15_000 };
  return { system, registry, token, [Symbol.asyncDispose]: () => system[Symbol.asyncDispose]() };
}

function commandOf(way: (typeof ways)[number]["name"], name: string, identity: ProducerIdentity): readonly string[] {
  switch (way) {
    case "revoke":
    case "suspend":
      return [way, name, "--reason", "revocation run"];
    case "certificate":
      return ["revoke", name, "--certificate", new X509Certificate(identity.tlsCertPem).fingerprint256];
    case "key":
      return ["revoke", name, "--key", keyIdOf(rawPublicKey(identity.batchKey))];
  }
}

/** A stream that has said Hello. */
export function connect(port: number, identity: ProducerIdentity): TestClient {
  const client = new TestClient({ port, ca: identity.caPem, cert: identity.tlsCertPem, key: identity.tlsKeyPem });
  client.say(plainHello({ keyId: Buffer.from(keyIdOf(rawPublicKey(identity.batchKey)), "hex") }));
  return client;
}

/** A stream that has been welcomed. The gateway may hear of an enrolment a moment after the agent does. */
export async function openStream(port: number, identity: ProducerIdentity): Promise<TestClient> {
  for (;;) {
    const client = connect(port, identity);
    const welcomed = await client.next("welcome").then(
      () => true,
      () => false,
    );
    if (welcomed) return client;
    const { code } = await client.ended;
    if (code !== "INGEST_PRODUCER_UNKNOWN" && code !== "INGEST_CERT_UNKNOWN") throw new Error(`a good certificate was refused: ${code}`);
  }
}

async function refusal(port: number, identity: ProducerIdentity): Promise<string> {
  const client = connect(port, identity);
  const { code } = await client.ended;
  client.close();
  return code;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (typeof address === "object" && address !== null ? resolve(address.port) : reject(new Error("no address"))));
    });
  });
}
