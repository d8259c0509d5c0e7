/**
 * Why it exists: one identity on two machines is a finding that only a person can settle.
 * Enforces: each finding is shown with its evidence, its times and the next step; what was accepted stays visible with --all.
 * Forbids: barring anybody by itself.
 */
import type { CloneEvidence } from "../registry/clone_store.ts";
import type { ShownClone } from "../registry/requests.ts";
import { formatTable, formatTimeUs } from "../terminal/format.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import { type CommandSpec, textOption } from "./command.ts";
import { ask } from "./registry_question.ts";

const meaning: Readonly<Record<string, string>> = {
  renewal_fork: "one certificate was renewed twice, with two TLS keys",
  enrolment_fork: "one batch key enrolled with two TLS keys",
  address_flapping: "sessions alternate between two addresses",
  epoch_fenced: "frames of an epoch that a newer one has fenced",
  epochs_limited: "more epochs opened than a day allows, as if its state were lost again and again",
  sequence_conflict: "one sequence number signed with two contents",
} satisfies Readonly<Record<CloneEvidence, string>>;

const clonesCommand: CommandSpec = {
  path: "producer clones",
  summary: "show identities that seem to be in use on two machines",
  prose:
    "A cloned machine is served, not locked out. If both machines should send, enrol one of them anew and then accept the finding; if one is a stranger, `producer revoke`. A machine that was restored from a backup looks the same: accept it.",
  options: [{ flags: "--all", help: "also those that were accepted" }],
  examples: [{ line: "ransomeye producer clones", says: "Who, by which evidence, since when." }],
  json: `{"clones": [{"producer": uuid, "name": string, "evidence": string, "detail": string, "first": ISO 8601, "last": ISO 8601, "times": n, "resolution": string | null}]}`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, _args, options) {
    const clones = (await ask(context, { op: "clones", all: options["all"] === true })) as readonly ShownClone[];
    context.result(
      { clones: clones.map(({ first_us, last_us, ...c }) => ({ ...c, first: formatTimeUs(first_us), last: formatTimeUs(last_us) })) },
      clones.length === 0
        ? "no identity is suspected of being in use twice"
        : [
            formatTable(
              ["name", "producer", "evidence", "times", "first", "last"],
              clones.map((c) => [c.name, c.producer, c.evidence, String(c.times), formatTimeUs(c.first_us), formatTimeUs(c.last_us)]),
            ),
            "",
            ...clones.map((c) => `${terminalSafe(c.name)}: ${meaning[c.evidence] ?? terminalSafe(c.evidence)}; ${terminalSafe(c.detail)}`),
            "",
            "next: ransomeye producer suspend | revoke | accept-clone PRODUCER",
          ].join("\n"),
    );
    return clones.some(({ resolution }) => resolution === null) ? "found" : "ok";
  },
};

const acceptCloneCommand: CommandSpec = {
  path: "producer accept-clone",
  args: "<producer>",
  summary: "close the findings of a producer: it is no clone, or has been dealt with",
  options: [{ flags: "--reason <text>", help: "for the audit trail" }],
  examples: [{ line: "ransomeye producer accept-clone ws-12 --reason 'restored from backup'", says: "A later sign opens a new finding." }],
  json: `{"findings": n}`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, [producer = ""], options) {
    const { findings } = (await ask(context, {
      op: "accept_clone",
      producer,
      reason: textOption(options, "reason") ?? "",
    })) as { readonly findings: number };
    context.result({ findings }, `${findings} ${findings === 1 ? "finding" : "findings"} of ${terminalSafe(producer)} closed`);
    return "ok";
  },
};

/** In the order of help. */
export const cloneCommands: readonly CommandSpec[] = [clonesCommand, acceptCloneCommand];
