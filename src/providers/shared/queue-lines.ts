import type { WireFault } from '../../model/fault.js';

/** What is sent to one host is delayed, corrupted, duplicated and slowed down by. */
interface Shape {
  delayMs: number;
  jitterMs: number;
  /** Probabilities, from 0 to 1. */
  intact: number;
  single: number;
  bitsPerSecond: number;
}

function shapeOf(faults: readonly WireFault[]): Shape {
  const shape: Shape = { delayMs: 0, jitterMs: 0, intact: 1, single: 1, bitsPerSecond: Infinity };
  for (const fault of faults) {
    if (fault.kind === 'delay') shape.delayMs += fault.byMs;
    if (fault.kind === 'jitter') shape.jitterMs += fault.byMs;
    if (fault.kind === 'corrupt') shape.intact *= 1 - fault.percent / 100;
    if (fault.kind === 'duplicate') shape.single *= 1 - fault.percent / 100;
    if (fault.kind === 'rate') shape.bitsPerSecond = Math.min(shape.bitsPerSecond, fault.bitsPerSecond);
  }
  return shape;
}

/** Frames that wait in netem at once: enough for 100 ms of 1 Gbit/s of full frames. */
const netemLimit = 10_000;
/** How long a frame waits for its turn before it is lost, ms. */
const rateLatencyMs = 200;

const percentage = (probability: number): string => `${(probability * 100).toFixed(4)}%`;

/** The lines for `tc -batch` that make a port send so; none where nothing is special. */
export function queueLines(port: string, faults: readonly WireFault[]): string[] {
  const { delayMs, jitterMs, intact, single, bitsPerSecond } = shapeOf(faults);
  const words: string[] = [];
  // netem takes the middle, and what a frame may be off it (tc-netem(8)).
  const [middle, off] = [delayMs + jitterMs / 2, jitterMs / 2].map((ms) => `${Math.round(ms * 1000)}us`);
  if (delayMs + jitterMs > 0) words.push(`delay ${middle}${jitterMs > 0 ? ` ${off}` : ''}`);
  if (intact < 1) words.push(`corrupt ${percentage(1 - intact)}`);
  if (single < 1) words.push(`duplicate ${percentage(1 - single)}`);
  const lines =
    words.length === 0 ? [] : [`qdisc add dev ${port} root handle 1: netem limit ${netemLimit} ${words.join(' ')}`];
  if (bitsPerSecond < Infinity) {
    // One full frame at least, or what a hundredth of a second takes (tc-tbf(8)).
    const burst = Math.max(5000, Math.ceil(bitsPerSecond / 8 / 100));
    const parent = lines.length === 0 ? 'root' : 'parent 1:1';
    lines.push(
      `qdisc add dev ${port} ${parent} handle 2: tbf rate ${bitsPerSecond}bit burst ${burst} latency ${rateLatencyMs}ms`,
    );
  }
  return lines;
}
