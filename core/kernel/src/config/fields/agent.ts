/**
 * Why: what the agent keeps, how often it looks, and how long it waits.
 * Enforces: as fields.ts says.
 * Forbids: fields of other sections.
 */

/** Section `agent`. */
export const agentFields = {
  "agent.spool_bytes_max": {
    type: "bytes",
    default: "64 MiB",
    min: "16 MiB",
    max: "1 TiB",
    reloadable: false,
    prose:
      "Bytes that each of the agent's spools may hold. A full spool makes the agent read no further: the followed files are the buffer, so it need not be large, and what waits in it costs memory too. One reading of a file becomes one write, which has to fit into half of it.",
  },
  "agent.poll_ms": {
    type: "integer",
    unit: "milliseconds",
    default: 250,
    min: 10,
    max: 60000,
    reloadable: false,
    prose: "Pause between two looks at followed files that had nothing new.",
  },
  "agent.rotate_wait_ms": {
    type: "integer",
    unit: "milliseconds",
    default: 5000,
    min: 0,
    max: 600000,
    reloadable: false,
    prose: "How long a file that a rotation has moved away must be quiet before its successor is read; its writer may still hold it open.",
  },
  "agent.drain_ms_max": {
    type: "integer",
    unit: "milliseconds",
    default: 10000,
    min: 0,
    max: 600000,
    reloadable: false,
    prose: "How long a stopping agent waits for receipts. What has none by then stays in the spool and is sent at the next start.",
  },
} as const;
