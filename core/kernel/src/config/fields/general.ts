/**
 * Why: what concerns every process.
 * Enforces: as fields.ts says.
 * Forbids: fields of other sections.
 */

/** Top level and section `log`. */
export const generalFields = {
  data_dir: {
    type: "path",
    default: ".ransomeye",
    reloadable: false,
    prose: "Directory of everything that this system keeps: database, secrets, identities, spool, logs. Created with permissions 0700.",
  },
  "log.level": {
    type: "choice",
    choices: ["debug", "info", "warn", "error", "silent"],
    default: "info",
    reloadable: false,
    prose: "Lines below this level are not written. Metrics count all events at any level.",
  },
  "log.format": {
    type: "choice",
    choices: ["text", "json"],
    default: "text",
    reloadable: false,
    prose:
      "What `ransomeye start` prints: `text` for people, `json` one object a line, as with --json. Log files are JSON lines either way.",
  },
} as const;
