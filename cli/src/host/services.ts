/**
 * Why it exists: what shares a host is said once: which services there are, and what each may have of processor, disk and memory (DB-5).
 * Enforces: one typed table. The plan, the supervisor's processes, systemd's units, the compose files' limits and the reference page are made from it or compared with it.
 * Forbids: figures of one machine; what depends on the machine is the plan's (`plan.ts`).
 */
import type { RoleName } from "../supervisor/runtime_file.ts";

/** Everything of RansomEye that may run on one host. `bus`: the log's Redis or Valkey server. `agent`: the host's own. */
export type ServiceName = RoleName | "postgres" | "bus" | "supervisor" | "agent";

/** What one process of a service may have, whatever the machine. */
export interface ServiceSpec {
  readonly does: string;
  /** Where it is a Node.js process: its heap's bound in MiB, on the smallest machine and where there is room. */
  readonly heapMib?: { readonly min: number; readonly max: number };
  /** MiB beside the heap: code, stacks, young objects, buffers. What grows with the configuration is added by the plan. */
  readonly besideHeapMib: number;
  /** Share of the processors while they do not suffice for all; systemd's and the kernel's scale, 1 to 10000, 100 is ordinary. */
  readonly cpuWeight: number;
  /** The same for the disk. */
  readonly ioWeight: number;
  /** −1000 to 1000: the higher, the sooner the kernel ends it when memory is short. What holds receipted data in its hands is last. */
  readonly oomScore: number;
  /** 0 to 19: the higher, the longer it waits for a processor where no control group weighs. */
  readonly nice: number;
}

/** The table. */
export const services: Readonly<Record<ServiceName, ServiceSpec>> = {
  postgres: {
    does: "the database; by default the log of signed batches, too",
    besideHeapMib: 64,
    cpuWeight: 400,
    ioWeight: 400,
    oomScore: -900,
    nice: 0,
  },
  bus: {
    does: "the Redis or Valkey server that holds the log, where one does",
    // valkey.conf: maxmemory 2gb, which can double while the append-only file is rewritten.
    besideHeapMib: 4096,
    cpuWeight: 300,
    ioWeight: 400,
    oomScore: -900,
    nice: 0,
  },
  supervisor: {
    does: "starts, watches and stops the others; holds no data",
    // It is started by somebody else, with a flag that stands in a unit, a compose file or package.json: the same on every machine.
    heapMib: { min: 256, max: 256 },
    besideHeapMib: 64,
    cpuWeight: 200,
    ioWeight: 50,
    oomScore: -800,
    nice: 0,
  },
  registry: {
    does: "who may send; its word ends sessions of the revoked within seconds, so it must be heard in a flood",
    heapMib: { min: 128, max: 512 },
    besideHeapMib: 96,
    cpuWeight: 200,
    ioWeight: 100,
    oomScore: -500,
    nice: 0,
  },
  keeper: {
    does: "days, retention, the disk's watch, archive of messages",
    heapMib: { min: 96, max: 256 },
    besideHeapMib: 96,
    cpuWeight: 100,
    ioWeight: 50,
    oomScore: 0,
    nice: 0,
  },
  gateway: {
    does: "takes what producers send; a flood reaches it alone",
    heapMib: { min: 256, max: 768 },
    besideHeapMib: 96,
    cpuWeight: 100,
    ioWeight: 20,
    oomScore: 300,
    // Niceness would also wait for whatever else runs on the machine: measured, it costs a third of the throughput there, and readers keep within their bound without (decision 27).
    nice: 0,
  },
  engine: {
    does: "turns signed batches into rows",
    heapMib: { min: 384, max: 1024 },
    besideHeapMib: 256,
    cpuWeight: 200,
    ioWeight: 100,
    oomScore: 0,
    nice: 0,
  },
  sealer: {
    does: "signs what the log holds; rows flow without it",
    heapMib: { min: 96, max: 192 },
    besideHeapMib: 64,
    cpuWeight: 50,
    ioWeight: 50,
    oomScore: 100,
    nice: 0,
  },
  indexer: {
    does: "notes which batches hold which values; what it has not come to yet is read directly",
    heapMib: { min: 96, max: 256 },
    // A sort holds the keys of a segment and the numbers made of them outside the heap; a round a few batches.
    besideHeapMib: 128,
    cpuWeight: 25,
    ioWeight: 20,
    oomScore: 400,
    nice: 10,
  },
  forensics: {
    does: "asks for the evidence of attacks; the system is ready without it",
    heapMib: { min: 64, max: 128 },
    besideHeapMib: 64,
    cpuWeight: 50,
    ioWeight: 20,
    oomScore: 500,
    nice: 10,
  },
  demo: {
    does: "the demo fleet",
    heapMib: { min: 96, max: 256 },
    besideHeapMib: 96,
    cpuWeight: 20,
    ioWeight: 10,
    oomScore: 800,
    nice: 15,
  },
  agent: {
    does: "follows this host's own files; what it has no receipt for stays in its spool",
    heapMib: { min: 384, max: 384 },
    besideHeapMib: 128,
    cpuWeight: 50,
    ioWeight: 50,
    oomScore: 500,
    nice: 5,
  },
};

/** In the order of the plan. */
export const serviceNames: readonly ServiceName[] = Object.keys(services) as ServiceName[];

/** What the gateways hold for each session, measured with its part of the heap (bench/results/connections.md); counted whole beside the heap. */
export const connectionBytes: number = 80 * 1024;
