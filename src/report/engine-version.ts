import type { RunModel, ScenarioResult } from './model.js';

/** Stands for labs in which no engine takes part. */
export const noEngine = 'none';

/** `20.10.5+dfsg1` as `20.10.5`; what holds no version stays as it is. */
export function shortVersion(stated: string): string {
  return /\d+(?:\.\d+){1,2}/.exec(stated)?.[0] ?? stated;
}

/** Orders versions by their numbers; labs without an engine come last. */
export function compareVersions(a: string, b: string): number {
  if (a === noEngine || b === noEngine) return Number(a === noEngine) - Number(b === noEngine);
  const [left, right] = [a, b].map((text) => text.split('.').map(Number));
  for (let i = 0; i < Math.max(left!.length, right!.length); i += 1) {
    const difference = (left![i] ?? 0) - (right![i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Versions that the engines of the scenario stated themselves, short, in order. */
export function statedVersions(scenario: ScenarioResult): string[] {
  return [
    ...new Set(scenario.last.engines.map((engine) => shortVersion(engine.version)).filter((version) => version !== '')),
  ].sort(compareVersions);
}

function imagesWithInit(scenario: ScenarioResult): string[] {
  return [...new Set(scenario.topology.hosts.filter((host) => host.init !== 'light').map((host) => host.image))];
}

/**
 * The engine versions of every scenario of the runs. A lab that ends with its engines down (a daemon that must refuse to
 * start) states none: it counts for what engines of the same host image stated elsewhere in the runs.
 */
export function engineVersions(runs: readonly RunModel[]): (scenario: ScenarioResult) => string[] {
  const ofImage = new Map<string, Set<string>>();
  for (const scenario of runs.flatMap((run) => run.scenarios)) {
    for (const engine of scenario.last.engines) {
      const image = scenario.topology.hosts.find((host) => host.name === engine.host)?.image;
      if (image === undefined || engine.version === '') continue;
      const known = ofImage.get(image) ?? new Set<string>();
      ofImage.set(image, known.add(shortVersion(engine.version)));
    }
  }
  return (scenario) => {
    const stated = statedVersions(scenario);
    if (stated.length > 0) return stated;
    const images = imagesWithInit(scenario);
    const asked = images.filter((image) => image === scenario.matrix['image']);
    const found = [...new Set((asked.length > 0 ? asked : images).flatMap((image) => [...(ofImage.get(image) ?? [])]))];
    return found.length > 0 ? found.sort(compareVersions) : [noEngine];
  };
}
