/** An error with the explanation of the server; screen readers read it at once. */

import { explain } from "../api";

export function Problem({ of, children }: { of: unknown; children?: preact.ComponentChildren }) {
  if (of === null || of === undefined) return null;
  return (
    <div class="note note-error" role="alert">
      {explain(of)} {children}
    </div>
  );
}
