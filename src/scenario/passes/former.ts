import type { Path } from '../diagnostic.js';
import { formerMessage, neededRenamings } from '../former-keys.js';
import { isDataMap } from '../source.js';
import type { Data, DataMap } from '../source.js';
import type { Report } from './mistakes.js';

/** Says what of a file is of the former language and what it is called now; false where nothing is. */
export function reportFormer(data: DataMap, report: Report): boolean {
  let found = false;
  const tell = (kind: string | null, body: Data | undefined, path: Path): void => {
    for (const needed of neededRenamings(kind, body)) {
      found = true;
      report(
        [...path, ...needed.path],
        formerMessage(needed.renaming),
        needed.renaming.value === undefined ? 'key' : 'value',
      );
    }
  };
  tell(null, data, []);
  for (const list of ['steps', 'finally'] as const) {
    const items = data[list];
    if (!Array.isArray(items)) continue;
    items.forEach((item, index) => {
      if (!isDataMap(item)) return;
      for (const [kind, body] of Object.entries(item)) {
        tell(kind, body, [list, index, kind]);
        const during = isDataMap(body) && isDataMap(body.during) ? body.during : {};
        for (const [inner, below] of Object.entries(during)) tell(inner, below, [list, index, kind, 'during', inner]);
      }
    });
  }
  return found;
}
