/**
 * Data of a view: loaded once, and again after events that change it, and after a return of the
 * connection without recovery. Earlier data stays visible meanwhile.
 */

import { effect, signal, untracked, type ReadonlySignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { hub } from "./connection";
import { retryDelay } from "./retry";
import { generation, phase } from "./state";
import type { Channel } from "./channel";

export interface Query<T> {
  data: ReadonlySignal<T | undefined>;
  error: ReadonlySignal<unknown>;
  loading: ReadonlySignal<boolean>;
  reload: () => void;
  dispose: () => void;
}

export interface QueryOptions {
  /** Events of the hub after which the data is loaded again. */
  events?: readonly string[];
  /** Least number of milliseconds between two loads because of events. */
  interval?: number;
  channel?: Channel;
  /** Show the data of the former keys until that of new keys is loaded. */
  keep?: boolean;
}

export function createQuery<T>(
  load: () => Promise<T>,
  options: QueryOptions = {},
  initial?: T,
): Query<T> {
  const { events = [], interval = 1000, channel = hub } = options;
  const data = signal<T | undefined>(initial);
  const error = signal<unknown>(null);
  const loading = signal(false);
  let latest = 0;
  let loadedAt = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const reload = (): void => {
    clearTimeout(timer);
    timer = undefined;
    loadedAt = performance.now();
    const own = ++latest;
    loading.value = true;
    load()
      .then((loaded) => {
        if (own !== latest) return; // a later load replaces this one
        data.value = loaded;
        error.value = null;
      })
      .catch((failure: unknown) => {
        if (own !== latest) return;
        error.value = failure;
        const delay = retryDelay(failure);
        if (delay !== null) timer = setTimeout(reload, delay);
      })
      .finally(() => {
        if (own === latest) loading.value = false;
      });
  };

  const reloadSoon = (): void => {
    timer ??= setTimeout(reload, Math.max(0, loadedAt + interval - performance.now()));
  };

  const endings = events.map((event) => channel.on(event, reloadSoon));
  let loadedOf = -1;
  endings.push(
    effect(() => {
      const isConnected = phase.value === "connected";
      const current = generation.value;
      // A failed load is repeated after the next return.
      const isDue = current !== loadedOf || untracked(() => error.value !== null);
      if (!isConnected || !isDue) return;
      loadedOf = current;
      untracked(reload);
    }),
  );
  return {
    data,
    error,
    loading,
    reload,
    dispose: () => {
      latest += 1;
      clearTimeout(timer);
      for (const end of endings) end();
    },
  };
}

/** The same for a component: a new query for other `keys`, and its end with the component. */
export function useQuery<T>(
  load: () => Promise<T>,
  options: QueryOptions = {},
  keys: readonly unknown[] = [],
): Query<T> {
  const key = JSON.stringify(keys);
  const [held, hold] = useState(() => ({ key, query: createQuery(load, options) }));
  let current = held;
  if (held.key !== key) {
    held.query.dispose();
    const initial = options.keep ? held.query.data.peek() : undefined;
    current = { key, query: createQuery(load, options, initial) };
    hold(current);
  }
  useEffect(() => () => current.query.dispose(), [current.query]);
  return current.query;
}
