-- 0010 epoch limit: a producer that wants more epochs than a day allows is shown to an operator.
-- Why: a machine opens an epoch when it has lost its state, which is rare. Two machines with one identity do it in turn, and beyond the daily limit both
--   were only refused (R-6: then the producer is a suspected clone and an operator decides).
-- Enforces: the kinds of evidence are a closed list here as in the code; findings from before stay what they are.
-- Danger: a check constraint replaced; the table holds one open row a producer and kind of evidence, and no hot path reads it.

ALTER TABLE registry.clone_findings DROP CONSTRAINT clone_findings_evidence_check;
ALTER TABLE registry.clone_findings ADD CONSTRAINT clone_findings_evidence_check
  CHECK (evidence IN ('renewal_fork', 'enrolment_fork', 'address_flapping', 'epoch_fenced', 'epochs_limited', 'sequence_conflict'));
