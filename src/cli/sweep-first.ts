import { messageOf } from '../errors.js';
import { providers } from '../providers/registry.js';

/** Removes what killed runs left, so that nobody has to call `gc` for it. Never stands in the way of a run. */
export async function sweepFirst(note: (line: string) => void): Promise<void> {
  for (const provider of Object.values(providers)) {
    try {
      const { removed, left } = await provider.sweep();
      for (const { lab, what } of removed) note(`removed what the killed lab ${lab} had left: ${what.join(', ')}`);
      for (const { lab, what, why } of left) note(`${lab}: ${what} is left: ${why}`);
    } catch (error) {
      note(`what killed runs left was not looked for: ${messageOf(error)}`);
    }
  }
}
