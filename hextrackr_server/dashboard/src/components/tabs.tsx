/** Tabs on Zag's state machine: arrow keys move between them, and each names its panel. */

import { normalizeProps, useMachine } from "@zag-js/preact";
import * as tabs from "@zag-js/tabs";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export interface Tab {
  id: string;
  title: string;
  content: ComponentChildren;
}

export function Tabs({ label, items, initial }: { label: string; items: Tab[]; initial?: string }) {
  const service = useMachine(tabs.machine, {
    id: useId(),
    defaultValue: initial ?? items[0]?.id ?? null,
  });
  const api = tabs.connect(service, normalizeProps);
  return (
    <div {...api.getRootProps()} class="tabs">
      <div {...api.getListProps()} class="tab-list" aria-label={label}>
        {items.map(({ id, title }) => (
          <button key={id} {...api.getTriggerProps({ value: id })} class="tab">
            {title}
          </button>
        ))}
      </div>
      {items.map(({ id, content }) => (
        <div key={id} {...api.getContentProps({ value: id })} class="tab-panel">
          {api.value === id && content}
        </div>
      ))}
    </div>
  );
}
