/**
 * Why: one run of attackers against real gateways, judged by the bus.
 * Enforces: every attacker first leaves an honest past, one gate is started again, then each class of attack has its share of the frames; every
 *   frame that was sent is refused under a code that its class allows; afterwards heads, entries, rows and ledger are those of the genuine frames.
 * Forbids: a frame that is counted as sent without having been, and one that is counted as refused because its connection broke.
 */
import { type ClientMessage, zeroHash } from "ransomeye-ingestion/protocol";
import { seededRandom, sleep, systemClock } from "ransomeye-kernel";
import { type SignedFrame, SyntheticChain, syntheticProducer } from "../../synthetic_events.ts";
import type { TestClient } from "../gate/test_client.ts";
import { type Attack, attacks, epochs, hello, type Knowledge } from "./attacks.ts";
import { type Enrolled, HostileSystem } from "./hostile_system.ts";

/** What came of one class. */
export interface AttackFigures {
  readonly name: string;
  readonly sent: number;
  /** Refusals by code, as the attackers were told. */
  readonly refused: Readonly<Record<string, number>>;
  /** Frames that were answered otherwise than the class allows. */
  readonly wrong: number;
}

/** What came of a run. */
export interface HostileFigures {
  readonly seed: number;
  readonly sent: number;
  /** Frames or events on the bus, in rows or heads beyond the honest past. */
  readonly accepted: number;
  readonly ledgerImbalance: number;
  readonly attacks: readonly AttackFigures[];
  /** Refusals by code, as the gates counted them. */
  readonly counted: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
}

const attackers = 8;
const sealedFrames = 2;
const pastFrames = 3;
const recentFrames = 2;
const pastEvents = 2;
/** Frames of one session, where a session survives them. */
const perSession = 100;
/** Cheap frames for each one that costs a session. */
const manyWeight = 30;

interface Attacker extends Enrolled {
  readonly known: Knowledge & { readonly recent: SignedFrame[]; readonly own: SignedFrame[] };
}

interface Tally {
  sent: number;
  wrong: number;
  readonly refused: Map<string, number>;
}

/** Sends at least `frames` hostile frames. */
export async function hostileRun(frames: number, seed: number, tell: (line: string) => void = () => undefined): Promise<HostileFigures> {
  const system = await HostileSystem.start();
  try {
    const honest: Attacker[] = [];
    for (let i = 0; i < attackers; i += 1) honest.push(await prepare(system, seed, i));
    await system.startGate(0);
    for (const attacker of honest) await comeBack(system, attacker);
    const tallies = new Map<Attack, Tally>(attacks.map((attack) => [attack, { sent: 0, wrong: 0, refused: new Map() }]));
    const unit = frames / attacks.reduce((sum, { ends }) => sum + (ends ? 1 : manyWeight), 0);
    for (const [attack, tally] of tallies) {
      const wanted = Math.ceil(unit * (attack.ends ? 1 : manyWeight));
      await Promise.all(honest.map((attacker, i) => runShare(system, attack, attacker, share(wanted, i), tally)));
      tell(`${attack.name}: ${tally.sent} sent, ${[...tally.refused].map(([code, n]) => `${code} ${n}`).join(", ")}`);
    }
    return await judge(system, honest, tallies, seed);
  } finally {
    await system.close();
  }
}

/** The i-th attacker's part of so many. */
const share = (wanted: number, i: number): number => Math.floor((wanted + attackers - 1 - i) / attackers);

async function prepare(system: HostileSystem, seed: number, i: number): Promise<Attacker> {
  const enrolled = await system.enrol(`attacker ${seed} ${i}`);
  const { who } = enrolled;
  const retired = syntheticProducer(`retired ${seed} ${i}`);
  const victim = syntheticProducer(`attacker ${seed} ${(i + 1) % attackers}`);
  system.directory.put(who, {
    keys: new Map([
      [who.keyId, { publicKey: who.publicKey }],
      [retired.keyId, { publicKey: retired.publicKey, retiredUs: 1 }],
    ]),
  });
  const chain = new SyntheticChain(who);
  const client = system.connect(0, enrolled.certificate);
  client.say(hello());
  const { sessionNonce } = await client.next("welcome");
  const epochOf = async (frames: number): Promise<{ readonly opening: ClientMessage; readonly sent: readonly SignedFrame[] }> => {
    const opening = chain.openEpoch(sessionNonce);
    client.say(opening);
    const opened = await client.next("epochOpened");
    chain.opened(opened.epoch, opened);
    const sent = Array.from({ length: frames }, () => chain.next(pastEvents));
    await sendAll(client, sent);
    return { opening, sent };
  };
  const { sent: sealed } = await epochOf(sealedFrames);
  const { opening: recordedOpening, sent: past } = await epochOf(pastFrames);
  client.close();
  const random = seededRandom(`hostile ${seed} ${i}`);
  return { ...enrolled, known: { random, chain, past, recent: [], own: [], sealed, recordedOpening, retired, victim } };
}

/** One more honest session, with the gate that has been started again. */
async function comeBack(system: HostileSystem, { certificate, known }: Attacker): Promise<void> {
  const client = system.connect(0, certificate);
  client.say(hello());
  await client.next("welcome");
  known.recent.push(...Array.from({ length: recentFrames }, () => known.chain.next(pastEvents)));
  await sendAll(client, known.recent);
  client.close();
}

async function sendAll(client: TestClient, frames: readonly SignedFrame[]): Promise<void> {
  for (const { message } of frames) {
    client.say(message);
    await client.next("receipt");
  }
}

async function runShare(system: HostileSystem, attack: Attack, attacker: Attacker, wanted: number, tally: Tally): Promise<void> {
  for (let left = wanted; left > 0; ) {
    const gate = attack.gate ?? attacker.known.random.uint32() % 2;
    const client = system.connect(gate, attacker.certificate);
    try {
      left -= attack.ends
        ? await once(client, attack, attacker, tally)
        : await series(client, attack, attacker, Math.min(left, perSession), tally);
    } finally {
      client.close();
    }
  }
}

function count(tally: Tally, attack: Attack, code: string): void {
  tally.refused.set(code, (tally.refused.get(code) ?? 0) + 1);
  if (!attack.codes.some((allowed) => allowed === code)) tally.wrong += 1;
}

function say(client: TestClient, what: ClientMessage | Buffer): void {
  if (Buffer.isBuffer(what)) client.sayRaw(what);
  else client.say(what);
}

/** One attack that ends its session. Returns the hostile frames sent: none where the session did not come to be. */
async function once(client: TestClient, attack: Attack, { known }: Attacker, tally: Tally): Promise<number> {
  let nonce: Buffer = Buffer.alloc(0);
  if (attack.unannounced !== true) {
    client.say(hello(attack.helloEpoch));
    const welcome = await client.next("welcome").catch(() => undefined);
    if (welcome === undefined) return notAdmitted(client);
    nonce = welcome.sessionNonce;
  }
  for (const what of attack.make(known, nonce)) say(client, what);
  // The answer is the Goodbye; a receipt would be an accepted frame. Whatever comes first: nothing is waited out.
  const answer = await client.next("goodbye", "receipt").catch(() => undefined);
  const code = answer?.kind === "goodbye" ? answer.code : (answer?.kind ?? (await client.ended).code);
  if (code === "INGEST_QUARANTINED") return 0;
  tally.sent += 1;
  count(tally, attack, code);
  return 1;
}

/** A session that the quarantine of a millisecond, or nothing worse, kept out is tried again. */
async function notAdmitted(client: TestClient): Promise<number> {
  const { code, error } = await client.ended;
  if (code !== "INGEST_QUARANTINED") throw new Error(`no Welcome: ${code} ${error ?? ""}`);
  return 0;
}

/** Many frames through one session: each is answered by a Reject, a duplicate by its receipt again. */
async function series(client: TestClient, attack: Attack, { known }: Attacker, wanted: number, tally: Tally): Promise<number> {
  client.say(hello(attack.helloEpoch));
  const welcome = await client.next("welcome").catch(() => undefined);
  if (welcome === undefined) return notAdmitted(client);
  client.say({
    kind: "demand",
    bytes: (wanted + 1) * 2048,
    events: (wanted + 1) * (pastEvents + 1),
    oldestUs: 0,
    frameBytes: 0,
  });
  await client.next("credit");
  if (attack.genuineFirst === true) {
    const genuine = known.chain.next(pastEvents);
    known.own.push(genuine);
    client.say(genuine.message);
    await client.next("receipt");
  }
  const messages = Array.from({ length: wanted }, () => attack.make(known, welcome.sessionNonce)).flat();
  for (const what of messages) {
    say(client, what);
    tally.sent += 1;
    const answer = await client.next("reject", "receipt");
    count(tally, attack, answer.kind === "reject" ? answer.code : receiptCode(attack));
  }
  return wanted;
}

/**
 * What a receipt means to this class: a duplicate's receipt does not say of which kind it is, for honest producers need not know. That the
 * gates have counted every one under this code is compared at the end; where no duplicate is expected, a receipt is an accepted frame.
 */
function receiptCode({ codes }: Attack): string {
  return codes.find((code) => code.startsWith("INGEST_DUPLICATE")) ?? "receipt";
}

/** What the attackers were told, over all classes. */
function toldByCode(tallies: ReadonlyMap<Attack, Tally>): ReadonlyMap<string, number> {
  const told = new Map<string, number>();
  for (const { refused } of tallies.values()) for (const [code, n] of refused) told.set(code, (told.get(code) ?? 0) + n);
  return told;
}

/** His genuine frames of the epoch in force. */
const genuineOf = ({ known: { past, recent, own } }: Attacker): readonly SignedFrame[] => [...past, ...recent, ...own];

async function judge(
  system: HostileSystem,
  honest: readonly Attacker[],
  tallies: ReadonlyMap<Attack, Tally>,
  seed: number,
): Promise<HostileFigures> {
  const faults: string[] = [];
  const heads = await system.bus.headsOf(honest.map(({ who }) => who.producer));
  let accepted = 0;
  let genuine = 0;
  for (const attacker of honest) {
    const frames = genuineOf(attacker);
    genuine += attacker.known.sealed.length + frames.length;
    const head = heads.get(attacker.who.producer);
    const seq = frames.length * pastEvents;
    if (head?.epoch === epochs.current && head.seq === seq && head.hash.equals(frames.at(-1)?.hash ?? zeroHash)) continue;
    accepted += Math.max(1, (head?.seq ?? 0) - seq);
    faults.push(`the head of ${attacker.who.producer} is not that of its genuine frames`);
  }
  const { frames, rows, imbalance } = await system.stored();
  const [framesOver, rowsOver] = [frames - genuine, rows - genuine * pastEvents];
  if (framesOver !== 0) faults.push(`${framesOver} frames on the bus that nobody honest sent`);
  if (rowsOver !== 0) faults.push(`${rowsOver} rows that nobody honest sent`);
  if (imbalance !== 0) faults.push(`the ledger is out of balance by ${imbalance}`);
  const figures = [...tallies].map(([{ name }, { sent, wrong, refused }]) => ({ name, sent, wrong, refused: Object.fromEntries(refused) }));
  for (const { name, wrong } of figures) if (wrong > 0) faults.push(`${name}: ${wrong} answered otherwise than by its codes`);
  const sent = figures.reduce((sum, attack) => sum + attack.sent, 0);
  // The gates tell their counts about once a second.
  await sleep(systemClock, 2500);
  for (const [code, n] of toldByCode(tallies)) {
    const here = system.refused.get(code) ?? 0;
    if (here !== n) faults.push(`${code}: told ${n} times, counted ${here} times`);
  }
  const counted = Object.fromEntries([...system.refused].toSorted(([a], [b]) => a.localeCompare(b)));
  return {
    seed,
    sent,
    accepted: accepted + Math.max(0, framesOver, rowsOver),
    ledgerImbalance: imbalance,
    attacks: figures,
    counted,
    faults,
  };
}
