/**
 * The editors of resources. `edit` registers this tab as an editor until its function is called,
 * renews the registration, and repeats it after a return without recovery.
 */

import { computed, effect, signal } from "@preact/signals";
import type { ResourceEditor } from "../types/events";
import { hub } from "./connection";
import { list } from "./lists";
import { createQuery } from "./query";
import { generation, phase } from "./state";

/** The hub removes an editor after half an hour without an event (`editing_idle_seconds`). */
const RENEW_MINUTES = 5;

export const keyOf = (type: string, id: string | number): string => `${type}:${id}`;

/** All editors that this user may see. */
export const editors = createQuery(
  async () => (await list("editors", { limit: 500 })).data,
  { events: ["user-started-editing", "user-stopped-editing"], interval: 300 },
);

/** The editors of each resource, by `keyOf`. */
export const editorsByResource = computed(() => {
  const found = new Map<string, ResourceEditor[]>();
  for (const editor of editors.data.value ?? []) {
    const key = keyOf(editor.resourceType, editor.resourceId);
    found.set(key, [...(found.get(key) ?? []), editor]);
  }
  return found;
});

/** The resources that this tab edits, by `keyOf`, each with the function that ends it. */
export const own = signal<ReadonlyMap<string, () => void>>(new Map());

/** Begin to edit; raises RequestError if the hub refuses. */
export async function edit(type: string, id: string | number): Promise<void> {
  const key = keyOf(type, id);
  if (own.value.has(key)) return;
  await hub.request("start-editing", type, id);
  const renew = (): void => {
    hub.request("start-editing", type, id).catch(() => {}); // repeated after the next return
  };
  const timer = setInterval(renew, RENEW_MINUTES * 60_000);
  const stopRenewing = renewAfterReturns(renew);
  const end = (): void => {
    clearInterval(timer);
    stopRenewing();
    own.value = new Map([...own.value].filter(([each]) => each !== key));
    hub.request("stop-editing", type, id).then(editors.reload, () => {});
  };
  own.value = new Map([...own.value, [key, end]]);
  editors.reload();
}

/** Receive the editing events of a resource, also if the hub sends them to watchers only. */
export function watch(type: string, id: string | number): () => void {
  const begin = (): void => {
    hub.request("watch-resource", type, id).then(editors.reload, () => {});
  };
  begin();
  const stop = renewAfterReturns(begin);
  return () => {
    stop();
    hub.request("unwatch-resource", type, id).catch(() => {});
  };
}

/** Call a function after each return without recovery, whose rooms and editors are lost. */
function renewAfterReturns(renew: () => void): () => void {
  let known = generation.peek();
  return effect(() => {
    const current = generation.value;
    if (phase.value !== "connected" || current === known) return;
    known = current;
    renew();
  });
}
