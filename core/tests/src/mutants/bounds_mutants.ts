/** Why: bugs planted where the gate's and the registry's small parts keep their bounds. Enforces: each row names a rule or claim and the test that must fail without it. */
import { type Mutant, named } from "./mutant.ts";

const gate = "core/ingestion/dist/src";
const tests = "core/ingestion/dist/test";
const sockets = "core/tests/dist";
const enrolment = "cli/dist/src/enrolment";
const registry = "cli/dist/src/registry";
const proofs = "cli/dist/test/enrolment_proofs.test.js";

const shared: readonly Mutant[] = [
  {
    rule: "BP-6",
    bug: "shared buckets never fill again",
    patches: [{ file: `${gate}/gate.js`, find: "rates.refill(nowMs);", replace: "" }],
    check: named(`${tests}/gate_pressure.test.js`, "BP-6 step 4: the whole gate's bucket that is empty fills with time"),
  },
  {
    rule: "BP-6",
    bug: "whoever had to wait for his rate is never told that it is over",
    patches: [{ file: `${gate}/gate.js`, find: `if (rateReasons.has(told?.reason ?? ""))`, replace: "if (false)" }],
    check: named(`${tests}/gate_pressure.test.js`, "BP-6 step 4: a producer's bucket that is empty fills with time"),
  },
  {
    rule: "BP-6",
    bug: "whoever is beyond a rate is forgotten",
    patches: [{ file: `${gate}/credit_desk.js`, find: "this.#overRate.add(id);", replace: "" }],
    check: named(`${tests}/credit_desk.test.js`, "BP-6 step 4: who is beyond a rate waits aside"),
  },
  {
    rule: "BP-6",
    bug: "one round gives out a kind's events more than once",
    patches: [{ file: `${gate}/credit_desk.js`, find: "this.#given.set(kind, ofKind + given);", replace: "" }],
    check: named(`${tests}/credit_desk.test.js`, "BP-6 step 4: one round gives no kind"),
  },
  {
    rule: "BP-7",
    bug: "leaving for a second refills a rate",
    patches: [
      {
        file: `${gate}/rate_limit.js`,
        find: "if (now.bytes >= this.#limit.burstBytesMax && now.events >= this.#limit.burstEventsMax)",
        replace: "if (true)",
      },
    ],
    check: named(`${tests}/rate_limit.test.js`, "BP-7 a bucket is kept until bytes and events"),
  },
  {
    rule: "P-5, R-14",
    bug: "credit takes the floors of sessions that are yet to come",
    patches: [{ file: `${gate}/gate.js`, find: "ledger.freeBytes - floorsToCome", replace: "ledger.freeBytes" }],
    check: named(`${tests}/gate_pressure.test.js`, "P-5 R-14 what is granted on demand"),
  },
  {
    rule: "R-5",
    bug: "producers that have nothing to learn are asked about again and again",
    patches: [{ file: `${gate}/head_queue.js`, find: "stored.epoch < last.epoch ||", replace: "true ||" }],
    check: named(`${tests}/head_queue.test.js`, "R-5 whose durable frames are not in rows"),
  },
  {
    rule: "R-14",
    bug: "a lease counts from the answer",
    patches: [{ file: `${gate}/main.js`, find: "pressure, askedMs });", replace: "pressure, askedMs: clock.monotonicMs() });" }],
    check: named(`${sockets}/overload_tests.test.js`, "BP-10 R-14 a lease runs from the question"),
  },
  {
    rule: "BP-19",
    bug: "every session is told of every state",
    patches: [
      {
        file: `${gate}/throttle_news.js`,
        find: "if (isConcerned(session, this.#settings))",
        replace: "if (true)",
      },
    ],
    check: named(`${tests}/throttle_news.test.js`, "BP-19 a state that changes is told to those who wait or speak"),
  },
  {
    rule: "BP-19",
    bug: "whoever speaks while the gate is paused hears nothing",
    patches: [{ file: `${gate}/throttle_news.js`, find: 'if (now.state !== "open" &&', replace: "if (false &&" }],
    check: named(`${tests}/throttle_news.test.js`, "BP-19 a state that changes is told to those who wait or speak"),
  },
  {
    rule: "BP-19",
    bug: "all news is told at once",
    patches: [{ file: `${gate}/throttle_news.js`, find: "this.#left -= 1;", replace: "" }],
    check: named(`${tests}/throttle_news.test.js`, "BP-19 news is told to a bounded number"),
  },
  {
    rule: "BP-19",
    bug: "after a first lot nobody is told",
    patches: [{ file: `${gate}/gate.js`, find: "this.#news.refresh();", replace: "" }],
    check: named(`${tests}/throttle_news.test.js`, "BP-19 news is told to a bounded number"),
  },
  {
    rule: "TL-8",
    bug: "whoever breaks a rule of HTTP/2 in his conversation is counted twice",
    patches: [{ file: `${gate}/connections.js`, find: "if (connection?.peer === undefined)", replace: "if (true)" }],
    check: named(`${sockets}/flood_tests.test.js`, "TL-8 a conversation that breaks a rule of HTTP/2"),
  },
  {
    rule: "BP-19",
    bug: "a longer linger is told to nobody who sends",
    patches: [
      {
        file: `${gate}/session.js`,
        find: "withLinger(takeFrame(heard(session, context), signal.frame, context), context)",
        replace: "takeFrame(heard(session, context), signal.frame, context)",
      },
    ],
    check: named(`${tests}/throttle_news.test.js`, "BP-19 R-15 a longer linger is told to whoever sends"),
  },
  {
    rule: "BP-17",
    bug: "strikes are forgotten whenever the book is tidied",
    patches: [{ file: `${gate}/quarantine.js`, find: "if (forgiven && nowMs", replace: "if (nowMs" }],
    check: named(`${tests}/quarantine.test.js`, "BP-17 strikes are forgiven by the second"),
  },
  {
    rule: "BP-18",
    bug: "who is quarantined is told to come back at once",
    patches: [{ file: `${gate}/gate.js`, find: "quarantinedMs + this.#comeBackMs()", replace: "this.#comeBackMs()" }],
    check: named(`${tests}/gate_arrivals.test.js`, "BP-18 who is quarantined is told to come back after it"),
  },
];

const transport: readonly Mutant[] = [
  {
    rule: "TL-7",
    bug: "a connection that is ended waits for its peer's end",
    patches: [{ file: `${gate}/connections.js`, find: "if (connection.ended)", replace: "if (false)" }],
    check: named(`${sockets}/flood_tests.test.js`, "TL-7 a connection that is ended closes"),
  },
  {
    rule: "TL-8",
    bug: "whoever breaks a rule of HTTP/2 in his conversation has just left",
    patches: [{ file: `${gate}/peer_stream.js`, find: "http2Code(error) ??", replace: "" }],
    check: named(`${sockets}/transport_tests.test.js`, "TL-8 flood: PING answers nobody asked for"),
  },
  {
    rule: "TL-16",
    bug: "the table of connections keeps those that have closed",
    patches: [{ file: `${gate}/connections.js`, find: "this.#open.delete(name);", replace: "" }],
    check: named(`${sockets}/flood_tests.test.js`, "TL-16 no flood leaves memory behind"),
  },
  {
    rule: "TL-16",
    bug: "whose turn is next keeps connections that have closed, as long as nobody comes",
    patches: [{ file: `${gate}/connections.js`, find: "if (this.#open.size === 0)", replace: "if (false)" }],
    check: named(`${tests}/connections.test.js`, "TL-16 of connections that have closed nothing stays"),
  },
  {
    rule: "TL-8",
    bug: "what waits for its turn at the gate is taken for a flood",
    patches: [
      { file: `${gate}/peer_stream.js`, find: "this.#receivedBytes + this.#stream.readableLength", replace: "this.#receivedBytes" },
    ],
    check: named(`${tests}/peer_stream.test.js`, "TL-8 bytes that wait for their turn"),
  },
  {
    rule: "P-5",
    bug: "a small frame keeps a whole chunk of the network alive",
    patches: [{ file: `${gate}/peer_stream.js`, find: "clientMessage.decode(compact(bytes))", replace: "clientMessage.decode(bytes)" }],
    check: named(`${tests}/peer_stream.test.js`, "P-5 a message in the gate's hands"),
  },
];

const enrolling: readonly Mutant[] = [
  {
    rule: "R-13",
    bug: "a gateway that was busy takes its own slowness for the registry's silence",
    patches: [{ file: `${registry}/client.js`, find: "setImmediate(judge, heard)", replace: "judge(heard)" }],
    check: named("cli/dist/test/registry_silence.test.js", "R-13 a gateway that was busy"),
  },
  {
    rule: "TB-5",
    bug: "the TLS key need not have signed the request",
    patches: [{ file: `${enrolment}/csr.js`, find: "if (!(await request.verify().catch(() => false)))", replace: "if (false)" }],
    check: named(proofs, "TB-5 whoever has not signed with both keys"),
  },
  {
    rule: "TB-9",
    bug: "a new batch key need not sign for itself",
    patches: [{ file: `${enrolment}/desk.js`, find: "if (!signedBy(signed, ask.newProof, ask.newKey))", replace: "if (false)" }],
    check: named(proofs, "TB-9 a key takes over by the signatures of both"),
  },
  {
    rule: "TB-9",
    bug: "a key of another producer may be taken over",
    patches: [{ file: `${registry}/admissions.js`, find: "before.producer_id !== id || before.retired", replace: "false" }],
    check: named(proofs, "TB-9 a key takes over by the signatures of both"),
  },
  {
    rule: "TB-11",
    bug: "an address that guesses is not locked out",
    patches: [{ file: `${enrolment}/desk.js`, find: "if (retryAfterMs > 0)", replace: "if (false)" }],
    check: named(proofs, "TB-11 guesses are audited once"),
  },
  {
    rule: "TB-11",
    bug: "errors of the inside are told to agents",
    patches: [
      {
        file: `${enrolment}/listener.js`,
        find: `new EnrolRefusal("ENROL_UNAVAILABLE", undefined, { cause: error })`,
        replace: `new EnrolRefusal("ENROL_UNAVAILABLE", String(error))`,
      },
    ],
    check: named(proofs, "TB-11 what goes wrong inside"),
  },
  {
    rule: "TB-10",
    bug: "the time goes on being vouched for by an authority that is believed no more",
    patches: [
      {
        file: `${enrolment}/time_key.js`,
        find: "if (this.#endorsed?.pin !== authority.pin)",
        replace: "if (this.#endorsed === undefined)",
      },
    ],
    check: named(proofs, "TB-4 TB-10 when another authority takes over"),
  },
];

export const boundsMutants: readonly Mutant[] = [...shared, ...transport, ...enrolling];
