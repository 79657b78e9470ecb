/** Rows of equal height, of which only the visible ones exist; @tanstack/virtual-core for Preact. */

import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
  type VirtualItem,
} from "@tanstack/virtual-core";
import type { RefObject } from "preact";
import { useLayoutEffect, useReducer, useState } from "preact/hooks";

/** Browsers limit the height of an element to about 16 million pixels. */
const MAXIMUM_PIXELS = 15_000_000;

/** Return the number of rows that a table can have. */
export const mostRows = (rowHeight: number): number => Math.floor(MAXIMUM_PIXELS / rowHeight);

export interface VirtualRows {
  items: VirtualItem[];
  height: number;
  /** Rows that can be shown; the list may have more. */
  shown: number;
  scrollTo: (index: number) => void;
}

export function useVirtualRows(
  scroller: RefObject<HTMLElement | null>,
  count: number,
  rowHeight: number,
  headHeight: number,
): VirtualRows {
  const [, render] = useReducer((number: number) => number + 1, 0);
  const shown = Math.min(count, mostRows(rowHeight));
  const options = {
    count: shown,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => render(undefined as never),
    overscan: 8,
    scrollPaddingStart: headHeight,
  };
  const [virtualizer] = useState(() => new Virtualizer<HTMLElement, HTMLElement>(options));
  virtualizer.setOptions(options);
  useLayoutEffect(() => virtualizer._didMount(), []);
  useLayoutEffect(() => virtualizer._willUpdate());
  useLayoutEffect(() => virtualizer.measure(), [rowHeight]);
  return {
    items: virtualizer.getVirtualItems(),
    height: virtualizer.getTotalSize(),
    shown,
    scrollTo: (index) => virtualizer.scrollToIndex(index),
  };
}
