/** Why: the command plants every bug, and the tests look whether each still fits the code it was written for; both need one list. Enforces: one list. */
import type { Mutant } from "./mutant.ts";
import { agentMutants } from "./agent_mutants.ts";
import { alarmMutants } from "./alarm_mutants.ts";
import { attestationMutants } from "./attestation_mutants.ts";
import { backupMutants } from "./backup_mutants.ts";
import { boundsMutants } from "./bounds_mutants.ts";
import { consumerMutants } from "./consumer_mutants.ts";
import { databaseMutants } from "./database_mutants.ts";
import { engineMutants } from "./engine_mutants.ts";
import { evidenceMutants } from "./evidence_mutants.ts";
import { flushMutants } from "./flush_mutants.ts";
import { gateMutants } from "./gate_mutants.ts";
import { gatesMutants } from "./gates_mutants.ts";
import { hardeningMutants } from "./hardening_mutants.ts";
import { ledgerMutants } from "./ledger_mutants.ts";
import { hostMutants } from "./host_mutants.ts";
import { linuxFormatMutants } from "./linux_format_mutants.ts";
import { netFormatMutants } from "./net_format_mutants.ts";
import { observableMutants } from "./observable_mutants.ts";
import { operatorMutants } from "./operator_mutants.ts";
import { pressureMutants } from "./pressure_mutants.ts";
import { readingMutants } from "./reading_mutants.ts";
import { redisMutants } from "./redis_mutants.ts";
import { rebuildMutants } from "./rebuild_mutants.ts";
import { replayMutants } from "./replay_mutants.ts";
import { timeMutants } from "./time_mutants.ts";
import { trustMutants } from "./trust_mutants.ts";
import { urgentMutants } from "./urgent_mutants.ts";
import { validationMutants } from "./validation_mutants.ts";

export const allMutants: readonly Mutant[] = [
  ...hardeningMutants,
  ...gateMutants,
  ...gatesMutants,
  ...engineMutants,
  ...flushMutants,
  ...agentMutants,
  ...netFormatMutants,
  ...linuxFormatMutants,
  ...trustMutants,
  ...pressureMutants,
  ...boundsMutants,
  ...rebuildMutants,
  ...replayMutants,
  ...readingMutants,
  ...urgentMutants,
  ...databaseMutants,
  ...ledgerMutants,
  ...hostMutants,
  ...operatorMutants,
  ...validationMutants,
  ...consumerMutants,
  ...redisMutants,
  ...alarmMutants,
  ...evidenceMutants,
  ...attestationMutants,
  ...timeMutants,
  ...observableMutants,
  ...backupMutants,
];
