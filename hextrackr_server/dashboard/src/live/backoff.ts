/** Growing delays between attempts, with a random part, so that clients do not return together. */

export class Backoff {
  #delay: number;

  constructor(
    private readonly first: number,
    private readonly last: number,
    private readonly random: () => number = Math.random,
  ) {
    this.#delay = first;
  }

  /** Return the next delay in milliseconds: between half of the present step and all of it. */
  next(): number {
    const step = this.#delay;
    this.#delay = Math.min(this.last, step * 2);
    return step / 2 + (this.random() * step) / 2;
  }

  reset(): void {
    this.#delay = this.first;
  }
}
