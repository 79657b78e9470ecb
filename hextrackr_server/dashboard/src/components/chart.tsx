/** A chart on uPlot, which draws on a canvas; each chart needs a table with the same numbers. */

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { theme } from "../app/theme";
import { useMedia } from "./media";

export interface Series {
  name: string;
  /** A color of the style sheets, such as `--chart-high`. */
  color: string;
  dash?: number[];
  values: readonly (number | null)[];
}

export interface ChartProps {
  /** A description of the chart for screen readers. */
  label: string;
  kind: "lines" | "bars";
  /** Seconds since 1970 (UTC) for lines; numbers of `names` for bars. */
  x: readonly number[];
  /** The names of bars; each bar has the color of its series. */
  names?: readonly string[];
  series: readonly Series[];
  height?: number;
  format?: (value: number) => string;
  /** Format of a time below the chart, by default that of uPlot for days. */
  formatTime?: (seconds: number) => string;
  /** The point under the pointer, or null; only for lines. */
  onPoint?: (index: number | null) => void;
}

const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const BAR_WIDTH = 0.6;

export default function Chart(props: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const isDark = useMedia("(prefers-color-scheme: dark)");
  const { kind, height = 220, x, series, names = [] } = props;
  // A chart with other series is another chart; other values are set.
  const shape = JSON.stringify([kind, height, theme.value, isDark, series.map((each) => each.name), names]);

  useEffect(() => {
    const element = host.current!;
    const made = new uPlot(options(element, latest), dataOf(latest.current), element);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width > 0 && width !== made.width) made.setSize({ width, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);

  const content = JSON.stringify([x, series.map((each) => each.values)]);
  useEffect(() => plot.current?.setData(dataOf(latest.current)), [content]);

  return <div class="chart" role="img" aria-label={props.label} ref={host} />;
}

function dataOf({ x, series, kind }: ChartProps): uPlot.AlignedData {
  if (kind === "lines") return [[...x], ...series.map(({ values }) => [...values])];
  // One series per bar, so that each has its own color.
  return [[...x], ...series.map(({ values }, index) => x.map((_, at) => (at === index ? values[0]! : null)))];
}

function options(element: HTMLElement, latest: { current: ChartProps }): uPlot.Options {
  const { kind, height = 220, series, names = [], format = (value) => compact.format(value) } = latest.current;
  const color = resolver(element);
  const quiet = color("--text-quiet");
  const font = `12px ${getComputedStyle(element).fontFamily}`;
  const axis = { stroke: quiet, font, ticks: { stroke: color("--line") }, grid: { stroke: color("--line") } };
  const isBars = kind === "bars";
  return {
    width: element.clientWidth || 300,
    height,
    padding: [8, 26, 0, 0],
    legend: { show: false },
    cursor: { y: false, x: !isBars, points: { show: !isBars }, drag: { x: false, y: false } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    scales: {
      x: isBars
        ? { time: false, range: (_plot, _least, most) => [-0.5, Math.max(most, names.length - 1) + 0.5] }
        : { time: true },
      y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.08 : 1] },
    },
    axes: [
      isBars
        ? {
            ...axis,
            grid: { show: false },
            splits: () => names.map((_, index) => index),
            values: () => [...names],
          }
        : {
            ...axis,
            grid: { show: false },
            space: 70,
            values: latest.current.formatTime
              ? (_plot, splits) => splits.map((each) => latest.current.formatTime!(each))
              : undefined,
          },
      { ...axis, size: 62, values: (_plot, splits) => splits.map(format) },
    ],
    series: [
      {},
      ...series.map(({ name, color: variable, dash }) => {
        const stroke = color(variable);
        return isBars
          ? { label: name, stroke, fill: stroke, paths: uPlot.paths.bars!({ size: [BAR_WIDTH, 72] }), points: { show: false } }
          : { label: name, stroke, width: 2, dash, points: { size: 5, fill: stroke } };
      }),
    ],
    hooks: {
      setCursor: [
        (plot) => latest.current.onPoint?.(plot.cursor.idx === undefined || isBars ? null : plot.cursor.idx),
      ],
    },
  };
}

/** Return a function that resolves a color of the style sheets, which a canvas cannot do itself. */
function resolver(element: HTMLElement): (variable: string) => string {
  return (variable) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${variable})`;
    element.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
}
