import type { RunSettings } from '../run/run-settings.js';
import { itemsOf } from '../run/planned-items.js';
import type { Scenario, ScenarioItem } from '../scenario/scenario.js';

/** Whether a run with these settings is about the scenario. */
export function isSelected(scenario: Scenario, { scenarios, tags }: Pick<RunSettings, 'scenarios' | 'tags'>): boolean {
  if (scenarios !== null && !scenarios.includes(scenario.id)) return false;
  return tags.length === 0 || scenario.tags.some((tag) => tags.includes(tag));
}

/** Title of the Mocha suite of a scenario. */
export function suiteTitle(scenario: Scenario): string {
  return `${scenario.id}: ${scenario.title}`;
}

/** Title of the Mocha test of an item. */
export function testTitle(item: ScenarioItem): string {
  return item.kind === 'step' ? `step: ${item.title}` : item.title;
}

/** The whole titles of a scenario's items, as Mocha's `--grep` sees them. */
export function titlesOf(scenario: Scenario): string[] {
  return itemsOf(scenario).map((item) => `${suiteTitle(scenario)} ${testTitle(item)}`);
}
