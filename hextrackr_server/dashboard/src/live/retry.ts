/** When a refused load is repeated. */

import { RequestError } from "../api/errors";

/** Milliseconds, unless the server gives a time. */
const RETRY_MILLISECONDS = 5000;

/**
 * Return the milliseconds until a load may succeed: null if it needs a change. A load without a
 * connection is repeated by the next connection instead.
 */
export function retryDelay(failure: unknown): number | null {
  if (!(failure instanceof RequestError) || !failure.isTemporary || failure.code === "OFFLINE") return null;
  return Math.max(1000, failure.retryAfterMs ?? RETRY_MILLISECONDS);
}
