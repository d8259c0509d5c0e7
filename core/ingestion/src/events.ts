/**
 * Every event that the gateway reports: log line and metric from one definition (style rule 13).
 *
 * Why: an operator reads logs and graphs that cannot disagree.
 * Enforces: labels from closed sets only; ERROR where data is at risk or an operator is needed.
 * Forbids: text that a peer wrote, and one line per refused frame.
 */
import { defineEvent, defineGauge, type EventDefinition, type Fields, type GaugeDefinition } from "ransomeye-kernel";

/** Declares a definition together with its fields' type. */
type Def<F extends Fields> = EventDefinition<F>;

export const gatewayListening: Def<{ address: string; sessions_max: number; buffer_bytes_max: number }> = defineEvent({
  name: "gateway_listening",
  level: "info",
  help: "The gateway accepts producers.",
});

export const tlsReloaded: Def<{ gateway: string }> = defineEvent({
  name: "gateway_tls_reloaded",
  level: "info",
  help: "The gateway took over another key, certificate or list of authorities; open sessions live on.",
  counter: { name: "gateway_tls_reloads_total", help: "Times that TLS material was taken over.", labels: [] },
});

export const gatewayDrained: Def<{ sessions: number; unanswered_frames: number }> = defineEvent({
  name: "gateway_drained",
  level: "info",
  help: "The gateway has ended its sessions and closed.",
});

export const sessionOpened: Def<{ producer: string; kind: string; session: number }> = defineEvent({
  name: "session_opened",
  level: "debug",
  help: "A producer was authenticated and opened its stream.",
  counter: { name: "gateway_sessions_opened_total", help: "Sessions opened, by kind of producer.", labels: ["kind"] },
});

export const sessionEnded: Def<{ producer: string; session: number; code: string }> = defineEvent({
  name: "session_ended",
  level: "debug",
  help: "A session ended.",
  counter: { name: "gateway_sessions_ended_total", help: "Sessions ended, by code; `ok` where the peer ended it.", labels: ["code"] },
});

export const transmissionsRefused: Def<{ step: string; code: string; count: number; producer?: string | undefined }> = defineEvent({
  name: "transmissions_refused",
  level: "warn",
  help: "Sessions, messages or frames refused since the last such line, by code. `producer` is one example.",
  counter: { name: "gateway_refused_total", help: "Refused transmissions, by step and code.", labels: ["step", "code"], by: "count" },
});

export const framesAccepted: Def<{ producer: string; frames: number }> = defineEvent({
  name: "frames_accepted",
  level: "debug",
  help: "Frames became durable and were receipted.",
  counter: { name: "gateway_frames_accepted_total", help: "Frames durable on the bus.", labels: [], by: "frames" },
});

export const eventsAccepted: Def<{ kind: string; events: number }> = defineEvent({
  name: "events_accepted",
  level: "debug",
  help: "Events became durable and were receipted.",
  counter: {
    name: "gateway_events_accepted_total",
    help: "Events durable on the bus, by kind of producer.",
    labels: ["kind"],
    by: "events",
  },
});

export const eventsInvalid: Def<{ producer: string; events: number }> = defineEvent({
  name: "events_invalid",
  level: "debug",
  help: "Accepted events that failed the schema and become dead letters.",
  counter: { name: "gateway_events_invalid_total", help: "Accepted events that become dead letters.", labels: [], by: "events" },
});

export const bytesAccepted: Def<{ bytes: number }> = defineEvent({
  name: "bytes_accepted",
  level: "debug",
  help: "Bytes of accepted frames.",
  counter: { name: "gateway_bytes_accepted_total", help: "Bytes of frames durable on the bus.", labels: [], by: "bytes" },
});

export const framesAppended: Def<{ part: number; frames: number; seconds: number }> = defineEvent({
  name: "frames_appended",
  level: "debug",
  help: "The bus answered an append.",
  histogram: {
    name: "gateway_append_seconds",
    help: "Time of one append to the bus.",
    unit: "seconds",
    labels: [],
    value: "seconds",
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
  },
});

export const appendFailed: Def<{ part: number; frames: number; failures: number; code: string }> = defineEvent({
  name: "append_failed",
  level: "error",
  help: "The bus gave no answer to an append. The frames are kept and tried again; producers are paused.",
  counter: { name: "gateway_append_failures_total", help: "Appends without an answer, by code.", labels: ["code"] },
  alarm: { title: "The bus gives a gateway no answer; producers are paused", severity: "high", about: ["code"] },
});

export const appendRecovered: Def<{ part: number; failures: number }> = defineEvent({
  name: "append_recovered",
  level: "info",
  help: "The bus answers again after failed appends.",
});

export const busBlocked: Def<{ part: number; reason: string; frames: number }> = defineEvent({
  name: "bus_blocked",
  level: "warn",
  help: "The bus takes no frames now; they are kept and tried again.",
  counter: { name: "gateway_bus_blocked_total", help: "Appends that the bus put off, by reason.", labels: ["reason"] },
});

export const busUnreadable: Def<{ what: string; code: string }> = defineEvent({
  name: "bus_unreadable",
  level: "warn",
  help: "A question to the bus (heads, epoch, pressure, counters) got no answer.",
  counter: { name: "gateway_bus_questions_failed_total", help: "Questions to the bus without an answer.", labels: ["what"] },
});

export const pressureChanged: Def<{ state: string; reason: string; level: number }> = defineEvent({
  name: "pressure_changed",
  level: "info",
  help: "The gateway's backpressure state changed.",
  counter: { name: "gateway_pressure_changes_total", help: "Changes of the backpressure state, by new state.", labels: ["state"] },
});

export const equivocationFound: Def<{ producer: string; epoch: number; first_seq: number; frame_hash: string; key_id: string }> =
  defineEvent({
    name: "equivocation_found",
    level: "error",
    help: "A producer signed two different histories for the same sequence. It or its key is compromised.",
    counter: { name: "gateway_equivocations_total", help: "Frames refused as equivocation.", labels: [] },
    alarm: { title: "A producer has signed two histories: it or its key is compromised", severity: "critical", about: ["producer"] },
  });

export const equivocationRepeated: Def<{ producer: string }> = defineEvent({
  name: "equivocation_repeated",
  level: "debug",
  help: "As equivocation_found, for a producer that was reported within the last minute.",
  counter: { name: "gateway_equivocations_repeated_total", help: "Further equivocating frames of producers already reported.", labels: [] },
});

export const producerFenced: Def<{ producer: string; epoch: number; first_seq: number }> = defineEvent({
  name: "producer_fenced",
  level: "warn",
  help: "A producer sent a frame of an epoch that a newer one has fenced: possibly a second machine with the same identity.",
  counter: { name: "gateway_fenced_total", help: "Sessions ended because a newer epoch exists.", labels: [] },
});

export const epochsLimited: Def<{ producer: string; epoch: number }> = defineEvent({
  name: "epochs_limited",
  level: "warn",
  help: "A producer wants another epoch after `epoch` and has opened as many as a day allows: possibly a second machine with the same identity.",
  counter: { name: "gateway_epochs_limited_total", help: "Sessions ended because their producer may open no epoch for now.", labels: [] },
});

export const producerQuarantined: Def<{ producer: string; code: string; seconds: number }> = defineEvent({
  name: "producer_quarantined",
  level: "error",
  help: "A producer flooded this gateway: its session was closed and it is refused for a while. `code` is its last offence.",
  counter: { name: "gateway_quarantines_total", help: "Quarantines begun, by the offence that led to them.", labels: ["code"] },
  alarm: { title: "A producer flooded a gateway and is refused for a while", severity: "high", about: ["producer"] },
});

export const registryStale: Def<{ age_ms: number; sessions: number }> = defineEvent({
  name: "registry_stale",
  level: "error",
  help: "The registry has been silent for too long: no new sessions, and open ones are being ended.",
  counter: {
    name: "gateway_registry_silences_total",
    help: "Times that the registry was silent for so long that open sessions were ended.",
    labels: [],
  },
  alarm: { title: "A gateway ends its sessions: the registry has been silent for too long", severity: "critical", about: [] },
});

export const clockDrifted: Def<{ drift_ms: number }> = defineEvent({
  name: "clock_drifted",
  level: "error",
  help: "This gateway's clock and the bus's clock differ by more than two seconds.",
  counter: { name: "gateway_clock_drifts_total", help: "Alarms of a clock that differs from the bus's, one a minute at most.", labels: [] },
  alarm: { title: "A gateway's clock and the bus's clock differ", severity: "high", about: [] },
});

const gauge = (name: string, help: string, unit: string, labels: readonly string[] = []): GaugeDefinition =>
  defineGauge({ name, help, unit, labels });

export const sessionsGauge: GaugeDefinition = gauge("gateway_sessions", "Open sessions.", "sessions");
export const connectionsGauge: GaugeDefinition = gauge("gateway_connections", "Open connections, in whatever state.", "connections");
export const handshakesGauge: GaugeDefinition = gauge("gateway_handshakes_open", "Handshakes that have begun and not ended.", "handshakes");
export const reservedGauge: GaugeDefinition = gauge("gateway_buffer_reserved_bytes", "Floors, granted credit and held frames.", "bytes");
export const heldGauge: GaugeDefinition = gauge("gateway_buffer_held_bytes", "Frames held until the bus answers.", "bytes");
export const peakGauge: GaugeDefinition = gauge("gateway_buffer_reserved_peak_bytes", "Highest reservation since the start.", "bytes");
export const boundGauge: GaugeDefinition = gauge("gateway_buffer_bytes_max", "Bound of the buffer.", "bytes");
export const quarantinedGauge: GaugeDefinition = gauge(
  "gateway_quarantined",
  "Producers refused for a while because they flooded.",
  "producers",
);
export const inFlightGauge: GaugeDefinition = gauge(
  "gateway_in_flight_bytes_max",
  "Bytes that the bus lets this gateway have in appends at once.",
  "bytes",
);
export const lingerGauge: GaugeDefinition = gauge("gateway_linger_ms", "Time that producers are asked to gather events.", "milliseconds");
