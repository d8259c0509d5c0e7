/**
 * The door of the kernel: what every room agrees on. Errors, time, randomness, lifetime, configuration, limits, logs and metrics, durable files, facts
 * about the machine. It knows no room and imports none.
 */
export { CONFIG_CODES, type ConfigCode, ConfigError, type ConfigProblem } from "./config/errors.ts";
export { configFields, type FieldPath, type FieldSpec, fieldTable } from "./config/fields.ts";
export {
  type ConfigSources,
  environmentName,
  type ExplainedField,
  explainConfig,
  loadConfig,
  systemEnvironment,
  type TextRecord,
} from "./config/load.ts";
export { configReference } from "./config/reference.ts";
export { configJsonSchema, type JsonSchema } from "./config/schema.ts";
export { Secret } from "./config/secret.ts";
export type { Config } from "./config/types.ts";
export { type ConfigValue, formatBytes, parseAddress, parseBytes } from "./config/values.ts";
export { type Clock, sleep, systemClock, type Timer, timerMsMax } from "./clock.ts";
export {
  type CodeSpec,
  type CodeTable,
  DefectError,
  type Disposition,
  type ErrorOptions,
  hasCode,
  invariant,
  RansomeyeError,
} from "./errors.ts";
export { syncDirectory, writeFileAtomic } from "./files.ts";
export { type Guard, startGuard } from "./guard.ts";
export { KERNEL_CODES, type KernelCode, KernelError } from "./kernel_errors.ts";
export { type CloseMode, type Closer, closeMsMaxDefault, Lifetime } from "./lifetime.ts";
export { assertLimits, type Limits, limits } from "./limits.ts";
export { type DiskFacts, diskFacts, type MachineFacts, machineFacts } from "./machine.ts";
export { fullJitterMs, type Random, seededRandom, systemRandom } from "./random.ts";
export {
  noSignal,
  onSignal,
  sameSignalMsMax,
  type SignalOptions,
  type SignalSource,
  type SignalState,
  SignalWatch,
  type SignalWish,
  type StopSignal,
} from "./signals.ts";
export { cutText } from "./text.ts";
export { alarmFieldsMax, alarmTextCharsMax, alarmTitleCharsMax, raisedAlarm, type RaisedAlarm } from "./telemetry/alarms.ts";
export {
  type AlarmDefinition,
  type AlarmSeverity,
  type CounterDefinition,
  defineEvent,
  defineGauge,
  type EventDefinition,
  type Fields,
  type FieldValue,
  type GaugeDefinition,
  type HistogramDefinition,
  type Level,
  metricName,
} from "./telemetry/definitions.ts";
export { type RecordedEvent, recordingTelemetry, type RecordingTelemetry } from "./telemetry/recording.ts";
export { serveMetrics } from "./telemetry/serve.ts";
export { createTelemetry, type Telemetry, type TelemetryOptions } from "./telemetry/telemetry.ts";
