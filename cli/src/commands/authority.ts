/**
 * Why it exists: the authority's key should be replaced while the fleet goes on.
 * Enforces: two authorities overlap for longer than any certificate of the old one lives, unless the operator says otherwise, knowing what it costs.
 * Forbids: ending an overlap by surprise: how many certificates would end with it is shown.
 */
import type { ShownAuthority } from "../registry/requests.ts";
import { formatTimeUs } from "../terminal/format.ts";
import { type CommandContext, type CommandSpec, textOption } from "./command.ts";
import { ask } from "./registry_question.ts";
import { parseDurationSeconds } from "./time.ts";

const authorityShape = `{"pin": hex, "not_after": ISO 8601, "gateway_not_after": ISO 8601, "retiring": {"pin": hex, "retires": ISO 8601, "certificates": n} | null}`;
/** Certificates live 90 days; some more for machines that were off. */
const overlapDefault = "100d";

const authorityShowCommand: CommandSpec = {
  path: "ca show",
  summary: "show the authority in force, the one that it takes over from, and when certificates end",
  options: [],
  examples: [{ line: "ransomeye ca show", says: "The pin is what tokens carry." }],
  json: authorityShape,
  exits: ["ok", "usage", "config", "unreachable"],
  run: (context) => show(context, { op: "authority" }),
};

const authorityRotateCommand: CommandSpec = {
  path: "ca rotate",
  summary: "let a new authority take over; the old one is believed for a while more",
  prose:
    "A new root is made; gateways serve a certificate of it at once, with a link by which producers that know only the old root believe it. Enrolments and renewals give certificates and roots of the new one. When the overlap ends the old root and every certificate that is still of it are worth nothing. The old root's private key is deleted at once.",
  options: [{ flags: "--overlap <duration>", help: `how long both are believed (default ${overlapDefault})` }],
  examples: [
    { line: "ransomeye ca rotate", says: "Once every few years, or when a key custodian leaves." },
    {
      line: "ransomeye ca rotate --overlap 1d && ransomeye ca show",
      says: "After an incident; whoever has not renewed by then must enrol anew.",
    },
  ],
  json: authorityShape,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  run: (context, _args, options) =>
    show(context, { op: "authority_rotate", overlapSeconds: parseDurationSeconds(textOption(options, "overlap") ?? overlapDefault) }),
};

const authorityRetireCommand: CommandSpec = {
  path: "ca retire",
  summary: "end an overlap now: the old authority and its certificates are believed no more",
  options: [],
  examples: [
    {
      line: "ransomeye ca retire",
      says: "When `ca show` counts no certificate of the old one any more, or when its key is known to be lost.",
    },
  ],
  json: authorityShape,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  run: (context) => show(context, { op: "authority_retire" }),
};

async function show(context: CommandContext, question: Parameters<typeof ask>[1]): Promise<"ok"> {
  const { pin, not_after_us, gateway_not_after_us, retiring } = (await ask(context, question)) as ShownAuthority;
  context.result(
    {
      pin,
      not_after: formatTimeUs(not_after_us),
      gateway_not_after: formatTimeUs(gateway_not_after_us),
      retiring:
        retiring === null ? null : { pin: retiring.pin, retires: formatTimeUs(retiring.retires_us), certificates: retiring.certificates },
    },
    [
      `authority  ${pin} until ${formatTimeUs(not_after_us)}`,
      `gateway    certificate until ${formatTimeUs(gateway_not_after_us)}; renewed by itself`,
      ...(retiring === null
        ? []
        : [`retiring   ${retiring.pin} until ${formatTimeUs(retiring.retires_us)}, with ${retiring.certificates} certificates in force`]),
    ].join("\n"),
  );
  return "ok";
}

/** In the order of help. */
export const authorityCommands: readonly CommandSpec[] = [authorityShowCommand, authorityRotateCommand, authorityRetireCommand];
