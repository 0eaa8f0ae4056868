import { createHash } from 'node:crypto';
import type { Verdict } from '../model/verdict.js';
import { neutralise, oneLine } from './terminal-text.js';
import { escapeMarkup } from './topology-svg.js';

/** Text of the lab for the page: control characters and bidirectional overrides visible, markup escaped. */
export function esc(text: string): string {
  return escapeMarkup(neutralise(text));
}

export function escLine(text: string): string {
  return escapeMarkup(oneLine(text));
}

export function badge(verdict: Verdict, text: string = verdict): string {
  return `<span class="badge ${verdict}">${escLine(text)}</span>`;
}

export function hash(content: string): string {
  return `'sha256-${createHash('sha256').update(content).digest('base64')}'`;
}
