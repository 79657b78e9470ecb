/** Addresses of views: `#/findings?severity=critical`. The fragment works below any path prefix. */

export interface Location {
  view: string;
  parameters: URLSearchParams;
}

export function parse(hash: string): Location {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  return { view: path || "overview", parameters: new URLSearchParams(query) };
}

/** Return the address of a view, for links. */
export function link(view: string, parameters: Record<string, string> | URLSearchParams = {}): string {
  const query = new URLSearchParams(parameters).toString();
  return query ? `#/${view}?${query}` : `#/${view}`;
}
