/** Samples of metrics, and rates of counters between them. */

import type { Metrics } from "../../types/hub";

export type Sample = Metrics;

/**
 * Return how much a counter grew per second before each sample. The first sample has no rate, and
 * neither has the first one after a restart of the server, whose counters begin at 0 again.
 */
export function rates(
  samples: readonly Pick<Sample, "timestamp" | "gauges">[],
  read: (sample: Pick<Sample, "timestamp" | "gauges">) => number,
): (number | null)[] {
  return samples.map((sample, index) => {
    const former = samples[index - 1];
    if (former === undefined) return null;
    const seconds = (sample.timestamp - former.timestamp) / 1000;
    const grown = read(sample) - read(former);
    return seconds > 0 && grown >= 0 ? grown / seconds : null;
  });
}
