/** Why: bugs planted before and beside sessions: handshakes, transport, certificates. Enforces: each row names a claim and the test that must fail without it. */
import { type Mutant, named } from "./mutant.ts";

const gate = "core/ingestion/dist/src";
const security = "core/ingestion/dist/security";
const pure = "core/ingestion/dist/test/transport.test.js";
const transport = "core/tests/dist/transport_tests.test.js";
const floods = "core/tests/dist/flood_tests.test.js";
const certificates = "core/tests/dist/bad_certificates.test.js";

export const hardeningMutants: readonly Mutant[] = [
  {
    rule: "TL-4",
    bug: "what was refused counts against an address, so a flood of attempts shuts it out for ever",
    patches: [
      {
        file: `${gate}/cell_rate.js`,
        find: "return nextMs - nowMs > burstMax * eachMs ? undefined : nextMs;",
        replace: "return nextMs;",
      },
    ],
    check: named(pure, "TL-4 one address gets its burst and its rate"),
  },
  {
    rule: "TL-4",
    bug: "an IPv6 address counts by itself, not by its /64",
    patches: [{ file: `${gate}/source_networks.js`, find: ".slice(0, 4)", replace: "" }],
    check: named(pure, "networks: IPv4 one by one"),
  },
  {
    rule: "TL-5",
    bug: "open handshakes are not bounded",
    patches: [
      {
        file: `${gate}/handshakes.js`,
        find: "this.#open >= openMax || (this.#openAt[slot] ?? 0) >= rate.burstMax",
        replace: "false",
      },
    ],
    check: named(pure, "TL-5 handshakes that are open are bounded"),
  },
  {
    rule: "TL-6",
    bug: "a handshake may take as long as it likes",
    patches: [{ file: `${gate}/connections.js`, find: "nowMs - sinceMs > handshakeMsMax", replace: "false" }],
    check: named(transport, "TL-6 a handshake that is begun and not completed"),
  },
  {
    rule: "TL-7",
    bug: "a connection without a conversation may stay",
    patches: [{ file: `${gate}/connections.js`, find: "nowMs - sinceMs > idleMsMax", replace: "false" }],
    check: named(transport, "TL-7 a connection that opens no stream"),
  },
  {
    rule: "TL-8",
    bug: "bytes that carry no message are free",
    patches: [{ file: `${gate}/transport_allowance.js`, find: "return this.#leftBytes >= 0;", replace: "return true;" }],
    check: named(transport, "TL-8 flood: PRIORITY"),
  },
  {
    rule: "TL-8",
    bug: "an honest past is credit for a flood",
    patches: [{ file: `${gate}/transport_allowance.js`, find: "Math.min(burstBytesMax, ", replace: "(" }],
    check: named(pure, "TL-8 the allowance covers honest framing"),
  },
  {
    rule: "TL-15",
    bug: "words have no rate",
    patches: [{ file: `${gate}/peer_stream.js`, find: "!this.#mayTalk(nowMs)", replace: "false" }],
    check: named(transport, "TL-15 words have a rate of their own"),
  },
  {
    rule: "TL-9",
    bug: "a connection may hold a second conversation",
    patches: [
      { file: `${gate}/connections.js`, find: "connection.peer !== undefined || connection.requests", replace: "connection.requests" },
    ],
    check: named(transport, "TL-9 one conversation a connection"),
  },
  {
    rule: "TL-10",
    bug: "a message may take as long as it likes",
    patches: [{ file: `${gate}/peer_stream.js`, find: "nowMs - this.#partSinceMs > messageMsMax", replace: "false" }],
    check: named(transport, "TL-10 a message that does not get on"),
  },
  {
    rule: "TL-11",
    bug: "answers may wait for their reader for ever",
    patches: [{ file: `${gate}/peer_stream.js`, find: "nowMs - this.#read.sinceMs > unreadMsMax", replace: "false" }],
    check: named(transport, "TL-11 a peer that opens no window"),
  },
  {
    rule: "TL-13",
    bug: "keys of any strength",
    patches: [{ file: `${gate}/tls.js`, find: "SECLEVEL=2", replace: "SECLEVEL=0" }],
    check: named(certificates, "TL-13 refused: signed over SHA-1"),
  },
  {
    rule: "TL-13",
    bug: "an authority may speak as a producer",
    patches: [{ file: `${security}/identity.js`, find: "facts.isAuthority || ", replace: "" }],
    check: named(certificates, "TL-13 refused: an authority itself"),
  },
  {
    rule: "TL-1",
    bug: "any number of connections",
    patches: [{ file: `${gate}/door.js`, find: "if (this.#connections >= this.#connectionsMax) {", replace: "if (false) {" }],
    check: named(transport, "TL-1 connections beyond the bound"),
  },
  {
    rule: "TL-2",
    bug: "an older TLS will do",
    patches: [{ file: `${gate}/tls.js`, find: `minVersion: "TLSv1.3"`, replace: `minVersion: "TLSv1.2"` }],
    check: named(transport, "TL-2 what is no TLS"),
  },
  {
    rule: "TL-3",
    bug: "a compressing peer is let in",
    patches: [{ file: `${gate}/server.js`, find: `encoding === "identity"`, replace: "encoding.length > 0" }],
    check: named(transport, "TL-3 compressed messages are refused"),
  },
  {
    rule: "TL-3",
    bug: "a compressed message is taken for a plain one",
    patches: [{ file: "core/ingestion/dist/protocol/grpc_wire.js", find: "if (this.#prefix[0] !== 0)", replace: "if (false)" }],
    check: named(transport, "TL-3 compressed messages are refused"),
  },
  {
    rule: "TL-12",
    bug: "a ping needs no answer",
    patches: [{ file: `${gate}/session.js`, find: "nowMs - session.pingedMs > settings.pongMsMax", replace: "false" }],
    check: named("core/ingestion/dist/test/gate.test.js", "deadlines: Hello, a silent peer"),
  },
  {
    rule: "TL-17",
    bug: "more than the window holds is a lost connection",
    patches: [
      {
        file: `${gate}/peer_stream.js`,
        find: "this.#stream.rstCode === constants.NGHTTP2_FLOW_CONTROL_ERROR",
        replace: "false",
      },
    ],
    check: named(floods, "TL-17 a peer that sends more than its window holds"),
  },
  {
    rule: "TL-18",
    bug: "streams without number on one connection",
    patches: [{ file: `${gate}/tls.js`, find: "maxConcurrentStreams: streamsPerConnectionMax", replace: "maxConcurrentStreams: 100" }],
    check: named(transport, "TL-18 the settings that are announced"),
  },
  {
    rule: "TL-19",
    bug: "any number of header fields",
    patches: [{ file: `${gate}/tls.js`, find: "maxHeaderListPairs: 64", replace: "maxHeaderListPairs: 1000" }],
    check: named(transport, "TL-19 a request with too many fields"),
  },
  {
    rule: "TL-19",
    bug: "headers of any length",
    patches: [{ file: `${gate}/tls.js`, find: "maxHeaderListSize: 8192", replace: "maxHeaderListSize: 65_536" }],
    check: named(transport, "TL-19 a request with too many bytes"),
  },
  {
    rule: "BP-18",
    bug: "without a session nobody answers for a flood",
    patches: [
      { file: `${gate}/connections.js`, find: `identified?.kind === "identified" ? identified.identity : undefined`, replace: "undefined" },
    ],
    check: named(floods, "BP-18 ING-8 whoever floods without a session"),
  },
  {
    rule: "BP-18",
    bug: "a revoked certificate can lock its producer out",
    patches: [
      {
        file: `${gate}/server.js`,
        find: "standingFault(identity, directory.lookup(producer), clock.nowUs()) === undefined ? producer : undefined",
        replace: "producer",
      },
    ],
    check: named(floods, "BP-18 a certificate that was revoked"),
  },
];
