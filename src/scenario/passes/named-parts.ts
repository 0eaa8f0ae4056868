import type { NamedPart } from '../../language/fault.js';
import { shown, suggestion } from '../../language/wording.js';
import { segmentAddresses } from '../addressing.js';
import type { Path } from '../diagnostic.js';
import { hostHint } from './hosts-and-segments.js';
import type { DeclaredLab } from './hosts-and-segments.js';
import type { Report } from './mistakes.js';

/** Hosts and segments that an item names must be there, and on the segment that it is named with. */
export function checkParts(lab: DeclaredLab, report: Report, parts: readonly NamedPart[], item: Path): void {
  for (const { sort, name, path, on } of parts) {
    const at = [...item, ...path];
    if (sort === 'segment') {
      // A segment with a mistake of its own is there all the same.
      if (lab.segmentNames !== null && !lab.segmentNames.has(name))
        report(at, () => `no segment ${shown(name)} in this scenario${suggestion(name, lab.segmentNames ?? [])}`);
      continue;
    }
    const segment = on === undefined ? undefined : lab.segments.get(on);
    if (!lab.hostNames.has(name)) report(at, () => `no host ${shown(name)} in this scenario${hostHint(name, lab)}`);
    else if (segment && !Object.hasOwn(segmentAddresses(segment), name))
      report(at, `${name} is not on the segment ${on}`);
  }
}
