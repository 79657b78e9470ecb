/** The region of short messages, on Zag's state machine; `toast` loads it. */

import { normalizeProps, useMachine } from "@zag-js/preact";
import * as zag from "@zag-js/toast";
import { render } from "preact";
import { Icon } from "./icon";
import type { Toast } from "./toast";

const TYPES = { info: "info", good: "success", warning: "warning", error: "error" } as const;
const MILLISECONDS = { info: 5000, good: 5000, warning: 8000, error: 10_000 };

const store = zag.createStore({ placement: "bottom-end", max: 4 });

export function show({ title, description, kind = "info" }: Toast): void {
  store.create({ title, description, type: TYPES[kind], duration: MILLISECONDS[kind] });
}

function Message({ actor, index, parent }: { actor: zag.Options; index: number; parent: zag.GroupService }) {
  const service = useMachine(zag.machine, { ...(actor as zag.Options & { id: string }), parent, index });
  const api = zag.connect(service, normalizeProps);
  return (
    <div {...api.getRootProps()} class={`toast toast-${api.type}`}>
      <div>
        <p {...api.getTitleProps()} class="toast-title">
          {api.title}
        </p>
        {api.description && <p {...api.getDescriptionProps()}>{api.description}</p>}
      </div>
      <button {...api.getCloseTriggerProps()} class="button button-icon" aria-label="Dismiss">
        <Icon name="close" size={14} />
      </button>
    </div>
  );
}

function Toaster() {
  const service = useMachine(zag.group.machine, { id: "toasts", store });
  const api = zag.group.connect(service, normalizeProps);
  return (
    <div {...api.getGroupProps()} class="toasts">
      {api.getToasts().map((each, index) => (
        <Message key={each.id} actor={each} index={index} parent={service} />
      ))}
    </div>
  );
}

const region = document.createElement("div");
document.body.append(region);
render(<Toaster />, region);
