/** Errors of the hub, over HTTP and over the socket, with a text for the user. */

export interface FieldProblem {
  path: string;
  message: string;
}

/** A refusal as the hub sends it: `{success: false, error, code, fields?}`. */
export interface Refusal {
  success: false;
  error: string;
  code: string;
  fields?: FieldProblem[];
  retryAfterMs?: number;
}

/** A failed request; `code` is a code of the hub, or OFFLINE, TIMEOUT, INVALID_ANSWER. */
export class RequestError extends Error {
  override readonly name = "RequestError";

  constructor(
    readonly code: string,
    message: string,
    readonly fields: readonly FieldProblem[] = [],
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
  }

  static from(refusal: Refusal): RequestError {
    const { code, error, fields, retryAfterMs } = refusal;
    return new RequestError(code, error, fields ?? [], retryAfterMs ?? null);
  }

  /** Whether the same request may succeed later without a change. */
  get isTemporary(): boolean {
    return ["OFFLINE", "TIMEOUT", "RATE_LIMITED", "UNAVAILABLE", "MAINTENANCE", "INTERRUPTED"].includes(
      this.code,
    );
  }

  /** Whether the user must sign in (again). */
  get isSignIn(): boolean {
    return this.code === "UNAUTHORIZED" || this.code === "SESSION_EXPIRED";
  }
}

export function isRefusal(value: unknown): value is Refusal {
  return (
    typeof value === "object" &&
    value !== null &&
    (value as { success?: unknown }).success === false &&
    typeof (value as { error?: unknown }).error === "string"
  );
}

/** Return the text that explains an error: the message of the hub, and its fields. */
export function explain(error: unknown): string {
  if (!(error instanceof RequestError)) {
    return error instanceof Error ? error.message : String(error);
  }
  const fields = error.fields.map(({ path, message }) => `${path} ${message}`);
  return [error.message, ...fields].join(". ");
}
