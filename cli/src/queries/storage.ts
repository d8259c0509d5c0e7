/**
 * Why it exists: how much is stored, by day, and how fast it grows.
 * Enforces: sizes come from the catalogue, not from counting rows.
 * Forbids: nothing beyond that.
 */
import { type DaySize, daySizes, type Pool, utcDay } from "ransomeye-db";

export type StoredDay = Pick<DaySize, "day" | "bytes" | "holds">;

const dayUs = 86_400_000_000;
/** An empty day's partitions and indexes; below it a day counts as empty. */
const emptyDayBytes = 1024 * 1024;

/** Days up to today with their sizes; days made ahead are left out. */
export async function daysStored(pool: Pool, nowUs: number): Promise<StoredDay[]> {
  const today = utcDay(nowUs);
  return (await daySizes(pool)).filter(({ day }) => day <= today).map(({ day, bytes, holds }) => ({ day, bytes, holds }));
}

/** Growth in bytes a day: today's so far, extended to the whole day, or yesterday's, whichever is more; 0 while there is nothing. */
export function bytesPerDay(days: readonly Pick<DaySize, "day" | "bytes">[], nowUs: number): number {
  const today = Math.floor(nowUs / dayUs);
  const sizeOf = (day: number): number => {
    const bytes = days.find((one) => Math.floor((Date.parse(`${one.day}T00:00:00Z`) * 1000) / dayUs) === day)?.bytes ?? 0;
    return bytes <= emptyDayBytes ? 0 : bytes;
  };
  // The first minutes of a day say little: at least an hour is assumed.
  const share = Math.max(nowUs / dayUs - today, 1 / 24);
  return Math.round(Math.max(sizeOf(today) / share, sizeOf(today - 1)));
}
