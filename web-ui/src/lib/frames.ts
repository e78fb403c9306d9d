/** Gathers what arrives, so that a busy stream renders a few times a second, each time in a frame. */

/** A list that changes more often cannot be read. */
const EVERY_MS = 100;

export class FrameBatch<Item> {
  private items: Item[] = [];
  private frame: number | null = null;
  private wait: ReturnType<typeof setTimeout> | undefined;
  private flushedAt = -Infinity;

  /** `limit` bounds what waits: a hidden page has no frames, and only the last items matter. */
  constructor(
    private readonly limit: number,
    private readonly flush: (items: Item[]) => void,
  ) {}

  add(item: Item): void {
    this.items.push(item);
    if (this.items.length > 2 * this.limit) this.items = this.items.slice(-this.limit);
    // Waiting by frames would make the browser draw them all.
    this.wait ??= setTimeout(() => {
      this.frame = requestAnimationFrame(this.send);
    }, Math.max(0, this.flushedAt + EVERY_MS - performance.now()));
  }

  private send = (): void => {
    this.frame = null;
    this.wait = undefined;
    this.flushedAt = performance.now();
    const items = this.items;
    this.items = [];
    this.flush(items);
  };

  cancel(): void {
    clearTimeout(this.wait);
    this.wait = undefined;
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    this.frame = null;
    this.items = [];
  }
}
