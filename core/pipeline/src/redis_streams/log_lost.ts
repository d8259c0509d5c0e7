/**
 * Why it exists: that the servers have lost something is said by the keeper, and understood by gateways and people.
 * Enforces: one word for it.
 * Forbids: anything else.
 */

/** Why nothing is taken: the servers hold less of the log than had receipts, or something else in its place. */
export const logLostReason = "log_lost";
