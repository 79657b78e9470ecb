/** The signed-in user, and the transitions between sign-in, connection and sign-out. */

import { effect, signal } from "@preact/signals";
import { api, RequestError, setToken, token } from "../api";
import { connect, disconnect, generation, phase } from "../live";
import { forgetNotices, openNotices } from "../live/notices";
import { update } from "../live/state";

export interface User {
  userId: string;
  username: string;
  role: string;
  isAdmin: boolean;
}

export const user = signal<User | null>(null);

/** Read the user again after each return without recovery: the cookie may be that of another user. */
export function watchUser(): void {
  effect(() => {
    if (generation.value > 0) void identify();
  });
}

/** Sign in with the token or the cookie of the page, and connect. */
export async function start(): Promise<void> {
  update({ phase: "connecting", reason: null });
  user.value = null;
  if (token.value !== null) {
    // The socket is also authenticated; both start at once, to save a round trip.
    void connect();
    await identify();
  } else if (await identify()) {
    await connect();
  }
}

/** Read the user; return whether the server accepts the login. */
async function identify(): Promise<boolean> {
  try {
    user.value = await api.get<User>("api/session");
    openNotices(user.value.userId);
    return true;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    if (error.isSignIn) {
      disconnect();
      update({ phase: "refused", reason: token.value === null ? null : error.message });
      return false;
    }
    // The server is not reachable or busy: the socket tries again, and so does this request.
    setTimeout(() => void (user.value === null && identify()), error.retryAfterMs ?? 3000);
    return true;
  }
}

export function signIn(text: string): void {
  // A copied token may contain line breaks or the scheme of the header.
  setToken(text.replace(/^\s*Bearer\s+/i, "").replace(/\s+/g, ""));
  void start();
}

/** Remove the token and the stored data; the page begins again without the user. */
export function signOut(): void {
  setToken(null);
  forgetNotices();
  location.reload();
}

/** Try the session cookie again when the user returns from a login in another tab. */
export function watchCookie(): void {
  addEventListener("focus", () => {
    if (phase.value !== "refused" || token.value !== null) return;
    api.get<User>("api/session").then(
      () => void start(),
      () => {}, // still not signed in: the form stays
    );
  });
}
