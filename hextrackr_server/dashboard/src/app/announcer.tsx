/** Live regions: texts for screen readers, without a visible element. */

import { signal } from "@preact/signals";

const polite = signal("");
const assertive = signal("");

/** Let screen readers read a text; urgent texts interrupt the present one. */
export function announce(text: string, urgent = false): void {
  const region = urgent ? assertive : polite;
  // A repeated text is read again only if the content changes.
  region.value = region.value === text ? `${text}\u00a0` : text;
}

export function Announcer() {
  return (
    <div class="visually-hidden">
      <div role="status" aria-live="polite" aria-label="Status messages">{polite}</div>
      <div role="alert" aria-live="assertive" aria-label="Urgent messages">{assertive}</div>
    </div>
  );
}
