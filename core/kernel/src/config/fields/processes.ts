/**
 * Why: what the supervisor runs and how it restarts it.
 * Enforces: as fields.ts says.
 * Forbids: fields of other sections.
 */

/** Sections `demo`, `evidence`, `forensics` and `supervisor`. */
export const processFields = {
  "demo.enabled": {
    type: "boolean",
    default: true,
    reloadable: false,
    prose: "Whether `ransomeye start` also runs a small fleet of synthetic producers.",
  },
  "demo.events_per_second": {
    type: "integer",
    unit: "events per second",
    default: 50,
    min: 1,
    max: 100000,
    reloadable: false,
    prose: "Rate of the whole demo fleet.",
  },
  "demo.seed": {
    type: "text",
    default: "ransomeye",
    pattern: "[!-~]{1,64}",
    expected: "1 to 64 visible ASCII characters",
    reloadable: false,
    prose: "Seed of the demo fleet; the same seed tells the same story.",
  },
  "evidence.checkpoint_ms": {
    type: "integer",
    unit: "milliseconds",
    default: 3600000,
    min: 100,
    max: 86400000,
    reloadable: false,
    prose: "How often the sealer signs what the log holds. What came after the last checkpoint is signed by its producers alone.",
  },
  "evidence.key_days_max": {
    type: "integer",
    unit: "days",
    default: 365,
    min: 1,
    max: 3650,
    reloadable: false,
    prose:
      "How long the sealer signs with one key. The next one is named in a statement that both have signed; what was signed before stays valid.",
  },
  "forensics.enabled": {
    type: "boolean",
    default: true,
    reloadable: false,
    prose:
      "Whether `ransomeye start` also runs the forensics trigger, which asks in stream:forensics for the evidence of attacks. Attacks that come while it is off wait for it as for any group that is away.",
  },
  "forensics.priority_min": {
    type: "choice",
    choices: ["low", "normal", "high", "critical"],
    default: "high",
    reloadable: false,
    prose:
      "Attacks of this priority and above are worth a forensics request. An event's severity gives it: 5 and above critical, 4 high, else normal.",
  },
  "supervisor.drain_ms_max": {
    type: "integer",
    unit: "milliseconds",
    default: 30000,
    min: 1000,
    max: 600000,
    reloadable: false,
    prose: "How long a stop waits for the processes to finish accepted work before it destroys them.",
  },
  "supervisor.restart_ms_min": {
    type: "integer",
    unit: "milliseconds",
    default: 250,
    min: 10,
    max: 60000,
    reloadable: false,
    prose: "Pause before a crashed process is started again; it doubles with each crash in a row.",
  },
  "supervisor.restart_ms_max": {
    type: "integer",
    unit: "milliseconds",
    default: 15000,
    min: 100,
    max: 600000,
    reloadable: false,
    prose: "Longest pause before a crashed process is started again.",
  },
  "supervisor.control_groups": {
    type: "boolean",
    default: false,
    reloadable: false,
    prose:
      "Whether the supervisor divides its control group among its processes, each with the memory, processor and disk that `ransomeye doctor --plan` gives it. Needs a group of its own, as `Delegate=` of deploy/systemd/ransomeye.service hands one over.",
  },
} as const;
