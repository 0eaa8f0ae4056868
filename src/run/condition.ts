/** Why an item that is for some engines, images or values of a variable only was left out. `what`: one of the two, or the variable. */
export function conditionReason(what: string, wanted: string, here: string): string {
  return `only for ${what} ${wanted}; here it is ${here}`;
}

/** Whether a reason of a skip is one of `conditionReason`: the scenario itself said that the item is not for this host. */
export function isConditionReason(reason: string): boolean {
  return /^only for [A-Za-z_][A-Za-z0-9_-]* .+; here it is /s.test(reason);
}

/** The condition alone, for readers who see elsewhere where it did not hold; other reasons stay whole. */
export function conditionOf(reason: string): string {
  return isConditionReason(reason) ? reason.slice(0, reason.indexOf('; here it is ')) : reason;
}
