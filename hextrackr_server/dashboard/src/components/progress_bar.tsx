/** A progress bar with its percentage; without a value, the amount of work is unknown. */

export function ProgressBar({ label, value }: { label: string; value: number | null }) {
  return (
    <div class="progress">
      {value === null ? (
        <progress aria-label={label} />
      ) : (
        <progress aria-label={label} max={100} value={value} />
      )}
      <span class="progress-value">{value === null ? "" : `${Math.floor(value)} %`}</span>
    </div>
  );
}
