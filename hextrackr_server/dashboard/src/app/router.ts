/** Addresses of views: `#/findings?severity=critical`. The fragment works below any path prefix. */

import { signal } from "@preact/signals";

export interface Location {
  view: string;
  parameters: URLSearchParams;
}

export function parse(hash: string): Location {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  return { view: path || "overview", parameters: new URLSearchParams(query) };
}

export const route = signal<Location>(parse(location.hash));

/** Return the address of a view, for links. */
export function link(view: string, parameters: Record<string, string> | URLSearchParams = {}): string {
  const query = new URLSearchParams(parameters).toString();
  return query ? `#/${view}?${query}` : `#/${view}`;
}

export function navigate(view: string, parameters: Record<string, string> = {}): void {
  location.hash = link(view, parameters);
}

/** Change parameters of the present view, without a new entry of the history; "" removes one. */
export function setParameters(change: Record<string, string>): void {
  const { view, parameters } = route.peek();
  const next = new URLSearchParams(parameters);
  for (const [name, value] of Object.entries(change)) {
    if (value === "") next.delete(name);
    else next.set(name, value);
  }
  history.replaceState(null, "", link(view, next));
  route.value = { view, parameters: next };
}

/** Follow the address; `onChange` runs before it is read. */
export function watchAddress(onChange: () => void): void {
  addEventListener("hashchange", () => {
    onChange();
    route.value = parse(location.hash);
  });
}
