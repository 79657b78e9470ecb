/**
 * A modal dialog on Zag's state machine: it keeps the focus inside, closes with Escape, and returns
 * the focus to the element that opened it.
 */

import * as dialog from "@zag-js/dialog";
import { normalizeProps, useMachine } from "@zag-js/preact";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { Icon } from "./icon";

export interface DialogProps {
  title: string;
  description?: string;
  open: boolean;
  onClose: () => void;
  /** "panel" covers the right side of the page, the whole page on a phone. */
  kind?: "dialog" | "panel";
  children: ComponentChildren;
}

export function Dialog({ title, description, open, onClose, kind = "dialog", children }: DialogProps) {
  const service = useMachine(dialog.machine, {
    id: useId(),
    open,
    onOpenChange: (details: { open: boolean }) => {
      if (!details.open) onClose();
    },
  });
  const api = dialog.connect(service, normalizeProps);
  if (!api.open) return null;
  return (
    <>
      <div {...api.getBackdropProps()} class="dialog-backdrop" />
      <div {...api.getPositionerProps()} class={`dialog-positioner dialog-${kind}`}>
        <section {...api.getContentProps()} class="dialog-content">
          <header class="dialog-header">
            <h2 {...api.getTitleProps()}>{title}</h2>
            <button {...api.getCloseTriggerProps()} class="button button-icon" aria-label="Close">
              <Icon name="close" />
            </button>
          </header>
          {description && (
            <p {...api.getDescriptionProps()} class="hint">
              {description}
            </p>
          )}
          {children}
        </section>
      </div>
    </>
  );
}
