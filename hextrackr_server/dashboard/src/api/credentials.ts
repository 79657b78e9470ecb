/**
 * The token of this tab. It comes from the fragment of a link (`#token=…`) or from the form, and
 * stays in the tab's sessionStorage. Without a token, the session cookie identifies the user.
 */

import { signal } from "@preact/signals";

const KEY = "hextrackr.token";

export const token = signal<string | null>(read());

function read(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null; // storage is disabled: the token stays in memory
  }
}

export function setToken(value: string | null): void {
  token.value = value;
  try {
    if (value === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, value);
  } catch {
    // see `read`
  }
}

/** Take the token of a link and remove it from the address; return whether there was one. */
export function takeTokenFromAddress(): boolean {
  const found = /^#token=([\w.~-]+)/.exec(location.hash);
  if (!found) return false;
  // Replaces the entry of the history: neither "back" nor a copied address contains the token.
  history.replaceState(null, "", location.pathname + location.search);
  setToken(found[1]!);
  return true;
}

export function authorization(): Record<string, string> {
  return token.value === null ? {} : { authorization: `Bearer ${token.value}` };
}
