/**
 * Why: the door of the gateway.
 * Enforces: what other rooms may know of it: how it is started, its ports, its codes and its pure heart (for the simulation).
 * Forbids: reaching past this file.
 */
export { grpcStatus, INGEST_CODES, type IngestCode, type IngestCodeSpec, IngestError } from "../errors/ingest_errors.ts";
export { type GatewayConfig, type GatewaySettings, gatewaySettings, settingsFaults } from "../config/validation.ts";
export type { HandshakeConfig } from "../config/transport.ts";
export type { CertificateFacts, Identity } from "../security/identity.ts";
export type { Checks, Trusted, Untrusted, Verdict } from "../security/trust_enforcement.ts";
export { Gate } from "./gate.ts";
export type { GateEffect, GateFigures, GatePorts, GateSignal, Moment } from "./gate_signals.ts";
export type { Phase, Session, SessionSignal } from "./session_state.ts";
export { type Batch, toAppend } from "./dispatcher.ts";
export type { Door, ListenAt, PortGrant, PortHandle, SharedPort } from "./door.ts";
export { referencePages } from "./session_diagram.ts";
export { type Gateway, type GatewayOptions, realChecks, startGateway } from "./main.ts";
export type { TlsMaterial } from "./tls.ts";
export type {
  CloneSuspicion,
  DirectoryCertificate,
  DirectoryChange,
  DirectoryEntry,
  DirectoryKey,
  ProducerDirectory,
  ProducerStatus,
} from "./ports.ts";
