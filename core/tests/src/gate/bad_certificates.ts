/**
 * Certificates that must not open the gate, and those that must.
 *
 * Why: each property of a certificate that the gate relies on has to be missing once, at the real listener.
 * Enforces: a row for each: what is wrong with it, where it is refused, and the code that the log names.
 * Forbids: use outside tests and proofs.
 */
import type { DirectoryEntry, IngestCode } from "ransomeye-ingestion";
import { producerSpiffeId } from "ransomeye-ingestion/protocol";
import { type SyntheticProducer, syntheticProducer } from "../../synthetic_events.ts";
import { createTestCa, keyUsages, type LeafOptions, type TestCa, type TestCertificate, usages } from "../test_ca.ts";

/** Where a certificate is made. */
export interface Mint {
  readonly ca: TestCa;
  readonly domain: string;
  readonly who: SyntheticProducer;
}

/** One certificate that is refused. */
export interface BadCertificate {
  readonly what: string;
  /** In TLS, or when the connection opens its stream. */
  readonly at: "handshake" | "stream";
  readonly code: IngestCode;
  readonly make: (mint: Mint) => Promise<TestCertificate>;
  /** What the registry says beside the ordinary, once the certificate is made. */
  readonly entry?: (certificate: TestCertificate) => Partial<DirectoryEntry>;
}

const minuteMs = 60_000;
const uri = (value: string): LeafOptions["names"] => [{ type: "url", value }];
const id = ({ domain, who }: Mint): string => producerSpiffeId(domain, who.kind, who.producer);
const named = (mint: Mint): LeafOptions["names"] => uri(id(mint));

type Leaf = (mint: Mint) => Partial<LeafOptions>;
const leaf =
  (change: Leaf) =>
  (mint: Mint): Promise<TestCertificate> =>
    mint.ca.leaf({ names: named(mint), ...change(mint) });

const inTls = (what: string, code: IngestCode, change: Leaf): BadCertificate => ({ what, at: "handshake", code, make: leaf(change) });
const atStream = (what: string, code: IngestCode, change: Leaf): BadCertificate => ({ what, at: "stream", code, make: leaf(change) });
/** A name that looks like the producer's own. */
const oddly = (what: string, name: (mint: Mint) => string, code: IngestCode = "INGEST_IDENTITY_MALFORMED"): BadCertificate =>
  atStream(what, code, (mint) => ({ names: uri(name(mint)) }));

async function byAnotherCa(mint: Mint): Promise<TestCertificate> {
  // The same name as ours: only the key differs.
  return (await createTestCa("test ca")).leaf({ names: named(mint) });
}

async function withoutIntermediate(mint: Mint): Promise<TestCertificate> {
  return (await mint.ca.intermediate("between")).leaf({ names: named(mint) });
}

async function underLeaf(mint: Mint): Promise<TestCertificate> {
  const between = await mint.ca.intermediate("between");
  const below = await between.intermediate("too deep");
  const made = await below.leaf({ names: named(mint) });
  return { ...made, cert: `${made.cert}\n${below.cert}\n${between.cert}` };
}

/** Every one of them. */
export const badCertificates: readonly BadCertificate[] = [
  inTls("expired", "INGEST_CERT_EXPIRED", () => ({ notAfter: new Date(Date.now() - minuteMs) })),
  inTls("not yet valid", "INGEST_CERT_NOT_YET_VALID", () => ({ notBefore: new Date(Date.now() + 10 * minuteMs) })),
  { what: "of another authority with our authority's name", at: "handshake", code: "INGEST_CERT_UNTRUSTED", make: byAnotherCa },
  inTls("self-signed", "INGEST_CERT_UNTRUSTED", () => ({ selfSigned: true })),
  { what: "its intermediate is missing", at: "handshake", code: "INGEST_CERT_UNTRUSTED", make: withoutIntermediate },
  { what: "its chain is longer than the authority allows", at: "handshake", code: "INGEST_CERT_UNTRUSTED", make: underLeaf },
  inTls("a server's", "INGEST_CERT_USAGE", () => ({ usages: [usages.server] })),
  inTls("key usage without signatures", "INGEST_CERT_USAGE", () => ({ keyUsages: keyUsages.keyEncipherment })),
  inTls("RSA of 1024 bits", "INGEST_CERT_WEAK", () => ({ key: "RSA-1024" })),
  inTls("signed over SHA-1", "INGEST_CERT_WEAK", () => ({ hash: "SHA-1" })),
  atStream("an authority itself", "INGEST_CERT_USAGE", () => ({ isAuthority: true })),
  atStream("no name", "INGEST_IDENTITY_MISSING", () => ({ names: [] })),
  atStream("a DNS name only", "INGEST_IDENTITY_MISSING", () => ({ names: [{ type: "dns", value: "producer.test" }] })),
  atStream("an address only", "INGEST_IDENTITY_MISSING", () => ({ names: [{ type: "ip", value: "127.0.0.1" }] })),
  atStream("a DNS name that spells a URI", "INGEST_IDENTITY_MALFORMED", (mint) => ({ names: [{ type: "dns", value: `URI:${id(mint)}` }] })),
  atStream("two URIs", "INGEST_IDENTITY_AMBIGUOUS", (mint) => ({
    names: [...named(mint), ...uri(producerSpiffeId(mint.domain, "linux", syntheticProducer("other").producer))],
  })),
  atStream("the same URI twice", "INGEST_IDENTITY_AMBIGUOUS", (mint) => ({ names: [...named(mint), ...named(mint)] })),
  atStream("a URI and a DNS name", "INGEST_IDENTITY_AMBIGUOUS", (mint) => ({ names: [...named(mint), { type: "dns", value: "x.test" }] })),
  atStream("a URI and an address", "INGEST_IDENTITY_AMBIGUOUS", (mint) => ({ names: [...named(mint), { type: "ip", value: "10.0.0.1" }] })),
  oddly("another trust domain", ({ who }) => producerSpiffeId("other.domain", who.kind, who.producer), "INGEST_TRUST_DOMAIN"),
  oddly("a gateway's name", ({ domain }) => `spiffe://${domain}/gateway/gate-1`),
  oddly("upper-case scheme", (mint) => id(mint).replace("spiffe", "SPIFFE")),
  oddly("upper-case trust domain", (mint) => id(mint).replace(mint.domain, mint.domain.toUpperCase())),
  oddly("upper-case producer", (mint) => id(mint).replace(mint.who.producer, mint.who.producer.toUpperCase())),
  oddly("a slash at the end", (mint) => `${id(mint)}/`),
  oddly("an escape in the path", (mint) => id(mint).replace("/producer/", "/%70roducer/")),
  oddly("a port", (mint) => id(mint).replace(mint.domain, `${mint.domain}:443`)),
  oddly("user information", (mint) => id(mint).replace(mint.domain, `root@${mint.domain}`)),
  oddly("a query", (mint) => `${id(mint)}?kind=dpi`),
  oddly("a fragment", (mint) => `${id(mint)}#1`),
  oddly("dots in the path", (mint) => id(mint).replace("/producer/", "/gateway/../producer/")),
  oddly("a NUL behind the name", (mint) => `${id(mint)}\0.evil`),
  oddly("a line feed behind the name", (mint) => `${id(mint)}\n`),
  oddly("a kind other than the registry's", ({ domain, who }) => producerSpiffeId(domain, "dpi", who.producer), "INGEST_KIND_MISMATCH"),
  oddly(
    "a producer nobody enrolled",
    ({ domain }) => producerSpiffeId(domain, "linux", syntheticProducer("nobody").producer),
    "INGEST_PRODUCER_UNKNOWN",
  ),
  {
    ...atStream("revoked", "INGEST_CERT_REVOKED", () => ({})),
    entry: ({ fingerprint }) => ({ certificates: new Map([[fingerprint, { revoked: true }]]) }),
  },
  { ...atStream("not on the registry's list", "INGEST_CERT_UNKNOWN", () => ({})), entry: () => ({ certificates: new Map() }) },
  { ...atStream("of a suspended producer", "INGEST_PRODUCER_SUSPENDED", () => ({})), entry: () => ({ status: "suspended" }) },
  { ...atStream("of a revoked producer", "INGEST_PRODUCER_REVOKED", () => ({})), entry: () => ({ status: "revoked" }) },
];

/** One certificate that is accepted. */
export interface GoodCertificate {
  readonly what: string;
  readonly make: (mint: Mint) => Promise<TestCertificate>;
}

/** Renewals, and every kind of key that is strong enough. The second authority stands beside the first in the gate's bundle. */
export function goodCertificates(second: TestCa): readonly GoodCertificate[] {
  const chained = async (mint: Mint): Promise<TestCertificate> => {
    const between = await mint.ca.intermediate("between");
    const made = await between.leaf({ names: named(mint) });
    return { ...made, cert: `${made.cert}\n${between.cert}` };
  };
  return [
    { what: "as enrolled", make: leaf(() => ({})) },
    { what: "renewed: same name, new key", make: leaf(() => ({})) },
    { what: "of the next authority, during the overlap", make: (mint) => second.leaf({ names: named(mint) }) },
    { what: "with its intermediate", make: chained },
    { what: "P-384", make: leaf(() => ({ key: "P-384" })) },
    { what: "Ed25519", make: leaf(() => ({ key: "Ed25519" })) },
    { what: "RSA of 2048 bits", make: leaf(() => ({ key: "RSA-2048" })) },
    { what: "key usage stated", make: leaf(() => ({ keyUsages: keyUsages.digitalSignature })) },
  ];
}
