import { appendFileSync, cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { latestOutcomes, netrig, root, workDirectory } from './netrig-command.js';

/** What the imported lab is to do beyond what `netrig import` checks itself. */
const more: Record<string, string> = {
  'branch-office': `  - check: The routers of the imported configuration are neighbours
    ospf: { on: r1, neighbour: r2 }
    within: 30s
  - check: One office reaches the other
    ping: { from: pc1, to: pc2 }
    within: 20s
`,
  'two-domains': `  - check: The router between the domains forwards
    ping: { from: pc1, to: pc2 }
  - check: Files of the lab are in their places
    file: { on: r1, path: /shared/note, expect: { content: common } }
`,
  shop: `  - check: The image of the Dockerfile beside the Compose file was built
    command: { on: docker/built, run: cat /word, expect: { stdout: built } }
  - check: The page beside the Compose file is served
    http: { from: docker/web, url: "http://pages:9000/", expect: { body: a page } }
    within: 10s
`,
};

describe('Labs of other tools, imported', function () {
  this.timeout(300_000);
  for (const [file, name] of [
    ['clab/branch.clab.yml', 'branch-office'],
    ['kathara/lab.conf', 'two-domains'],
    ['compose/compose.yaml', 'shop'],
  ] as const)
    it(`${file} runs`, async function () {
      const { dir, remove } = workDirectory({});
      cpSync(join(root, 'test', 'fixtures', 'foreign'), dir, { recursive: true });
      const imported = await netrig(['import', file], { cwd: dir }).ended;
      expect(imported.status, imported.stdout + imported.stderr).to.equal(0);
      const scenario = join(file.split('/')[0]!, `${name}.netrig.yaml`);
      expect(imported.stdout).to.include(`Run it:  netrig run ${scenario}`);
      const again = await netrig(['import', file], { cwd: dir }).ended;
      expect([again.status, again.stderr]).to.satisfy(
        ([status, text]: [number, string]) => status === 2 && text.includes('is there already'),
      );
      appendFileSync(join(dir, scenario), more[name]!);
      const run = await netrig(['run', '--no-allure-report', scenario], { cwd: dir }).ended;
      if (/NETRIG_MIRROR_UNREACHABLE/.test(run.stdout + run.stderr)) {
        console.log('      skipped: the package frr is not to be had here');
        remove();
        this.skip();
      }
      expect(run.status, run.stdout + run.stderr).to.equal(0);
      const checks = readFileSync(join(dir, scenario), 'utf8').match(/^ {2}- (check|step): /gm)!.length;
      expect(latestOutcomes(dir)).to.have.length.at.least(checks);
      remove();
    });
});
