/** Numbers, days and times as text; one format for the whole page. */

const numbers = new Intl.NumberFormat("en-US");
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const count = (value: number): string => numbers.format(value);

/** Return a number with its unit: "1 finding", "2,000 findings". */
export const counted = (value: number, one: string, several = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : several}`;

/** Return a score with one decimal, or a dash. */
export const score = (value: number | null | undefined): string =>
  value === null || value === undefined ? "–" : value.toFixed(1);

/** Return a day as the hub sends it (YYYY-MM-DD), or a dash. */
export const day = (value: string | null | undefined): string => value || "–";

/** Return the time of today, or day and time. */
export function when(ms: number, now = Date.now()): string {
  return new Date(ms).toDateString() === new Date(now).toDateString() ? clock.format(ms) : full.format(ms);
}

/** Return a duration in its two largest units: "45 s", "3 min 5 s", "2 h 10 min". */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}
