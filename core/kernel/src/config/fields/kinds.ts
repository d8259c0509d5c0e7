/**
 * Why: a network probe speaks for thousands of machines, an endpoint for one; what they may send differs by kind.
 * Enforces: as fields.ts says; every kind of producer has the same fields.
 * Forbids: fields of other sections.
 */
import type { NumberField, BytesField } from "../field_types.ts";

/** The fields of one kind of producer. */
type KindFields<K extends string> = Readonly<
  Record<`${K}.weight`, NumberField> &
    Record<`${K}.rate_events_per_second_max`, NumberField> &
    Record<`${K}.rate_bytes_per_second_max`, BytesField>
>;

function kindFields<K extends string>(kind: K, who: string, weight: number): KindFields<K> {
  return {
    [`${kind}.weight`]: {
      type: "integer",
      unit: "shares",
      default: weight,
      min: 1,
      max: 1000,
      reloadable: false,
      prose: `How much of a scarce buffer one ${who} may have, beside producers of the other kinds; it also gathers events that much shorter under load.`,
    },
    [`${kind}.rate_events_per_second_max`]: {
      type: "integer",
      unit: "events per second",
      default: 1_000_000,
      min: 1,
      max: 100_000_000,
      reloadable: false,
      prose: `Events that all of kind ${kind} together may send to one gateway process in a second, averaged; beyond it they get less credit.`,
    },
    [`${kind}.rate_bytes_per_second_max`]: {
      type: "bytes",
      default: "1 GiB",
      min: "64 KiB",
      max: "64 GiB",
      reloadable: false,
      prose: `Frame bytes that all of kind ${kind} together may send to one gateway process in a second, averaged.`,
    },
  } as KindFields<K>;
}

/** Sections `dpi`, `linux`, `windows` and `honeypot`. */
export const kindsFields: KindFields<"dpi"> & KindFields<"linux"> & KindFields<"windows"> & KindFields<"honeypot"> = {
  ...kindFields("dpi", "network probe", 8),
  ...kindFields("linux", "Linux agent", 1),
  ...kindFields("windows", "Windows agent", 1),
  ...kindFields("honeypot", "honeypot", 2),
};
