/**
 * Why it exists: every command of `ransomeye`, in the order of help and reference page.
 * Enforces: one list; what is not in it does not exist.
 * Forbids: nothing beyond that.
 */
import { agentCommand } from "./agent.ts";
import { auditCommand } from "./audit.ts";
import { authorityRetireCommand, authorityRotateCommand, authorityShowCommand } from "./authority.ts";
import { acceptCloneCommand, clonesCommand } from "./clones.ts";
import type { CommandSpec } from "./command.ts";
import { configShowCommand, configValidateCommand } from "./config.ts";
import { busAclCommand } from "./bus_acl.ts";
import { dlqDiscardCommand, dlqListCommand, dlqRedriveCommand, dlqShowCommand } from "./dlq.ts";
import { doctorCommand } from "./doctor.ts";
import { enrolCommand } from "./enrol.ts";
import { eventCommand } from "./event.ts";
import { eventsCommand } from "./events.ts";
import { feedCommand } from "./feed.ts";
import { initCommand } from "./init.ts";
import { enrollCommand, extendKeyCommand, listCommand, resumeCommand, revokeCommand, suspendCommand } from "./producer.ts";
import { reconcileCommand } from "./reconcile.ts";
import { restartCommand } from "./restart.ts";
import { roleCommand } from "./role.ts";
import { shipCommand } from "./ship.ts";
import { startCommand } from "./start.ts";
import { statusCommand } from "./status.ts";
import { tokenCreateCommand, tokenListCommand, tokenRevokeCommand } from "./token.ts";

/** The table. */
export const commandTable: readonly CommandSpec[] = [
  startCommand,
  statusCommand,
  shipCommand,
  agentCommand,
  eventsCommand,
  eventCommand,
  auditCommand,
  enrollCommand,
  listCommand,
  suspendCommand,
  resumeCommand,
  revokeCommand,
  extendKeyCommand,
  clonesCommand,
  acceptCloneCommand,
  tokenCreateCommand,
  tokenListCommand,
  tokenRevokeCommand,
  enrolCommand,
  authorityShowCommand,
  authorityRotateCommand,
  authorityRetireCommand,
  initCommand,
  configValidateCommand,
  configShowCommand,
  doctorCommand,
  reconcileCommand,
  feedCommand,
  busAclCommand,
  dlqListCommand,
  dlqShowCommand,
  dlqRedriveCommand,
  dlqDiscardCommand,
  restartCommand,
  roleCommand,
];
