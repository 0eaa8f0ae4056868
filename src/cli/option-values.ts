import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../model/duration.js';
import { parseShard, type Shard } from './shard.js';

// Each makes an option's value of its text, or throws commander's InvalidArgumentError, whose message ends the line that names
// the option. `before` is what came of an earlier one of the same option, or its default.

export function wholeNumber(least: number) {
  return (text: string): number => {
    if (!/^\d+$/.test(text) || Number(text) < least)
      throw new InvalidArgumentError(`It takes a whole number from ${least} up.`);
    return Number(text);
  };
}

export function portNumber(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65_535)
    throw new InvalidArgumentError('It takes a port number from 1 to 65535.');
  return Number(text);
}

export function ipVersion(text: string): number {
  if (text !== '4' && text !== '6') throw new InvalidArgumentError('It takes 4 or 6.');
  return Number(text);
}

export function collect(text: string, before: string[]): string[] {
  const words = text.split(',').filter((part) => part.trim() !== '');
  if (words.length === 0) throw new InvalidArgumentError('It takes at least one word.');
  return [...before, ...words];
}

export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InvalidArgumentError('It takes a duration such as 30s or 2m.');
  return ms;
}

export function pattern(text: string): string {
  try {
    new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : 'It is no regular expression.');
  }
  return text;
}

/** `image=debian-12,debian-13` */
export function matrixValues(text: string, before: Record<string, string[]>): Record<string, string[]> {
  const match = /^([A-Za-z][\w-]*)=(.+)$/.exec(text);
  if (!match) throw new InvalidArgumentError('It takes a name with values, such as image=debian-12,debian-13.');
  return { ...before, [match[1]!]: [...(before[match[1]!] ?? []), ...match[2]!.split(',')] };
}

export function shard(text: string): Shard {
  const parsed = parseShard(text);
  if (!parsed) throw new InvalidArgumentError('It takes a part and how many there are: 2/3 is the second of three.');
  return parsed;
}
