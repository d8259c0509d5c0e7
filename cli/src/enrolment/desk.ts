/**
 * Why it exists: what agents ask for is decided in one place: who shows what, and which proof it needs.
 * Enforces: a token is judged before anything dear is computed; both keys are proven, on this very connection (its TLS exporter is signed), before a
 * certificate is made; a renewal and a key rotation show the certificate that was issued; names of a certificate come from the registry, nothing of the
 * request's own wishes.
 * Forbids: trust in who issued a certificate that is shown: its fingerprint is in the registry's tables, or it is nobody's.
 */
import {
  ed25519Verify,
  enrolledKeyFault,
  type EnrolAsk,
  enrolmentPaths,
  enrolmentWire,
  enrolProofBytes,
  importPublicKey,
  keyIdOf,
  producerSpiffeId,
  renewProofBytes,
  rotateProofBytes,
} from "ransomeye-ingestion/protocol";
import { type Clock, hasCode, type Telemetry } from "ransomeye-kernel";
import { cloneSuspected, producerEnrolled } from "../events.ts";
import type { Admitted, Shown } from "../registry/admissions.ts";
import type { Registry, Trust } from "../registry/registry.ts";
import { readCsr } from "./csr.ts";
import type { AgentDesk, AgentRequest } from "./listener.ts";
import { EnrolRefusal } from "./refusal.ts";
import type { SourceLimits } from "./source_limits.ts";
import type { TimeKey } from "./time_key.ts";

export interface DeskOptions {
  readonly registry: Registry;
  readonly trust: Trust & { readonly link: string };
  readonly timeKey: TimeKey;
  readonly limits: SourceLimits;
  readonly trustDomain: string;
  readonly graceUs: number;
  readonly keyOverlapUs: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

type Route = (request: AgentRequest) => Promise<Record<string, unknown>> | Record<string, unknown>;

/** The desk over a registry. */
export function agentDesk(o: DeskOptions): AgentDesk {
  const desk = new Desk(o);
  const routes: Readonly<Record<string, Route>> = {
    [`GET ${enrolmentPaths.roots}`]: () => enrolmentWire.roots.write({ roots: o.trust.roots, link: o.trust.link }),
    [`GET ${enrolmentPaths.time}`]: ({ query }) => {
      const nonce = Buffer.from(query.get("nonce") ?? "", "hex");
      if (nonce.length !== timeNonceBytes) throw new EnrolRefusal("ENROL_MALFORMED");
      return enrolmentWire.time.write(o.timeKey.sign(nonce, o.trust.current));
    },
    [`POST ${enrolmentPaths.enrol}`]: (request) => desk.enrol(request),
    [`POST ${enrolmentPaths.renew}`]: (request) => desk.renew(request),
    [`POST ${enrolmentPaths.rotateKey}`]: (request) => desk.rotateKey(request),
  };
  return async (request) => {
    const route = routes[`${request.method} ${request.path}`];
    if (route === undefined) throw new EnrolRefusal("ENROL_PATH_UNKNOWN");
    return route(request);
  };
}

const timeNonceBytes = 32;

/** What changes something. */
class Desk {
  readonly #o: DeskOptions;

  constructor(o: DeskOptions) {
    this.#o = o;
  }

  async enrol(request: AgentRequest): Promise<Record<string, unknown>> {
    const ask = enrolmentWire.enrolAsk.read(request.body);
    if (ask === undefined) throw new EnrolRefusal("ENROL_MALFORMED");
    const nowMs = this.#o.clock.monotonicMs();
    const retryAfterMs = this.#o.limits.lockedMs(request.source, nowMs);
    if (retryAfterMs > 0) throw new EnrolRefusal("ENROL_RATE", "too many wrong tokens from this address", { retryAfterMs });
    const csr = readCsr(ask.csr);
    const keyId = keyIdOf(ask.batchKey);
    const { tokenId, tokenSecret, kind, batchKey } = ask;
    try {
      const admitted = await this.#o.registry.admit((admissions) =>
        admissions.byToken(
          {
            tokenId,
            tokenSecret,
            kind,
            keyId,
            publicKey: batchKey,
            tlsKey: csr.tlsKey,
            source: request.source,
            nowUs: this.#o.clock.nowUs(),
          },
          async ({ id }) => {
            // Only now: who has no token makes nobody multiply points.
            proveBatchKey(ask, request.binding());
            return this.#o.trust.current.issueProducer({
              spiffeId: producerSpiffeId(this.#o.trustDomain, kind, id),
              publicKey: await csr.verified(),
            });
          },
        ),
      );
      const { id, name } = admitted.change.producer;
      this.#o.telemetry.emit(producerEnrolled, { producer: id, kind, name, known: admitted.known });
      this.#tellSuspicion(admitted);
      return enrolmentWire.enrolAnswer.write({
        ...this.#issuedAnswer(admitted),
        producer: id,
        kind,
        name,
        trustDomain: this.#o.trustDomain,
        known: admitted.known,
      });
    } catch (error) {
      await this.#noteRefusal(error, request.source, tokenId, keyId);
      throw error;
    }
  }

  async renew(request: AgentRequest): Promise<Record<string, unknown>> {
    const ask = enrolmentWire.renewAsk.read(request.body);
    if (ask === undefined) throw new EnrolRefusal("ENROL_MALFORMED");
    const shown = this.#shownBy(request, this.#o.graceUs);
    const csr = readCsr(ask.csr);
    const signed = renewProofBytes(request.binding(), shown.fingerprint, ask.csr);
    const admitted = await this.#o.registry.admit((admissions) =>
      admissions.renew(
        shown,
        { keyId: ask.keyId, tlsKey: csr.tlsKey },
        (publicKey) => signedBy(signed, ask.batchProof, publicKey),
        async ({ id, kind }) =>
          this.#o.trust.current.issueProducer({
            spiffeId: producerSpiffeId(this.#o.trustDomain, kind, id),
            publicKey: await csr.verified(),
          }),
      ),
    );
    this.#tellSuspicion(admitted);
    return enrolmentWire.issued.write(this.#issuedAnswer(admitted));
  }

  async rotateKey(request: AgentRequest): Promise<Record<string, unknown>> {
    const ask = enrolmentWire.rotateAsk.read(request.body);
    if (ask === undefined) throw new EnrolRefusal("ENROL_MALFORMED");
    // No grace: whoever has lost its certificate renews first.
    const shown = this.#shownBy(request, 0);
    const fault = enrolledKeyFault(ask.newKey);
    if (fault !== undefined) throw new EnrolRefusal("ENROL_KEY_REFUSED", fault.detail);
    const signed = rotateProofBytes(request.binding(), shown.fingerprint, ask.keyId, ask.newKey);
    if (!signedBy(signed, ask.newProof, ask.newKey)) throw new EnrolRefusal("ENROL_PROOF", "the new key did not sign");
    const { retiredUs } = await this.#o.registry.admit((admissions) =>
      admissions.rotateKey(
        shown,
        { keyId: ask.keyId, newKeyId: keyIdOf(ask.newKey), newKey: ask.newKey, overlapUs: this.#o.keyOverlapUs },
        (publicKey) => signedBy(signed, ask.oldProof, publicKey),
      ),
    );
    return enrolmentWire.rotated.write({ retiredUs });
  }

  #issuedAnswer(admitted: Admitted): { readonly certificate: string; readonly roots: string } {
    return { certificate: admitted.issued.certPem, roots: this.#o.trust.roots };
  }

  #shownBy(request: AgentRequest, graceUs: number): Shown {
    if (request.certificate === undefined) throw new EnrolRefusal("ENROL_CERT_MISSING");
    return { fingerprint: request.certificate, source: request.source, nowUs: this.#o.clock.nowUs(), graceUs };
  }

  #tellSuspicion({ suspected, change }: Admitted): void {
    if (suspected)
      this.#o.telemetry.emit(cloneSuspected, { producer: change.producer.id, evidence: "fork", detail: "see `ransomeye producer clones`" });
  }

  /** A token in the wrong hands is worth a trace; a stream of guesses is not worth a full disk. */
  async #noteRefusal(error: unknown, source: string, tokenId: string, keyId: string): Promise<void> {
    const nowMs = this.#o.clock.monotonicMs();
    if (hasCode(error, "ENROL_TOKEN_REFUSED")) {
      const { audit, locked } = this.#o.limits.wrongToken(source, nowMs);
      if (audit)
        await this.#o.registry.audit(
          "token_refused",
          `no such token (${tokenId}) from ${source}${locked ? "; the address has to wait" : ""}`,
        );
    } else if (hasCode(error, "ENROL_TOKEN_USED") && this.#o.limits.mayAudit(nowMs)) {
      await this.#o.registry.audit("token_reuse_refused", `token ${tokenId} by another key ${keyId} from ${source}`);
    }
  }
}

/** @throws EnrolRefusal ENROL_KEY_REFUSED, ENROL_PROOF */
function proveBatchKey(ask: EnrolAsk, binding: Buffer): void {
  const fault = enrolledKeyFault(ask.batchKey);
  if (fault !== undefined) throw new EnrolRefusal("ENROL_KEY_REFUSED", fault.detail);
  if (!signedBy(enrolProofBytes(binding, ask), ask.batchProof, ask.batchKey))
    throw new EnrolRefusal("ENROL_PROOF", "the batch key did not sign");
}

function signedBy(bytes: Buffer, signature: Buffer, rawKey: Buffer): boolean {
  const key = importPublicKey(rawKey);
  return key.kind === "decoded" && ed25519Verify(bytes, signature, key.value);
}
