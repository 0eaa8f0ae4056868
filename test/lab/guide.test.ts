import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { commandsOf, page } from '../pages.js';
import { latestEvents, latestOutcomes, root, start, workDirectory } from './netrig-command.js';

/** Files of a page: a name in code at the beginning of a line, and the next block is what is in it. */
function filesOf(text: string): Map<string, string> {
  return new Map(
    [...text.matchAll(/^`([\w./-]+)` [^\n]*:\n\n```\w+\n([\s\S]*?)^```$/gm)].map(([, name, content]) => [
      name!,
      content!,
    ]),
  );
}

describe('docs/guide.md', function () {
  this.timeout(600_000);

  it('goes as it says, from an empty folder, and once more without a network', async function () {
    const guide = page('docs/guide.md');
    const { dir, remove } = workDirectory();
    const files = filesOf(guide.text);
    expect([...files.keys()]).to.deep.equal([
      'frr/daemons',
      'frr/frr.conf',
      'shop/web/Dockerfile',
      'shop/web/index',
      'shop/compose.yaml',
      'haproxy.cfg',
      'lab.yaml',
    ]);
    for (const [name, content] of files) {
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      writeFileSync(join(dir, name), content);
    }
    const commands = guide.blocks.filter(({ language }) => language === 'sh').flatMap(commandsOf);
    expect(commands.map(({ command }) => command)).to.deep.equal([
      'npm install PATH-TO-CLONE',
      'npx netrig validate lab.yaml',
      'npx netrig run lab.yaml',
      'npx netrig run --offline lab.yaml',
    ]);
    for (const { command } of commands) {
      const offline = command.includes('--offline');
      const [program, ...words] = command.replace('PATH-TO-CLONE', root).split(' ');
      const done = await start(program!, words, {
        cwd: dir,
        env: {
          // It fetches nothing, as the page says.
          npm_config_offline: 'true',
          // Whoever asked a mirror or a registry all the same would find nobody.
          ...(offline ? { http_proxy: 'http://127.0.0.1:9', https_proxy: 'http://127.0.0.1:9' } : {}),
        },
      }).ended;
      if (/NETRIG_MIRROR_UNREACHABLE/.test(done.stdout + done.stderr)) {
        console.log('      skipped: the packages frr and haproxy are not to be had here');
        remove();
        this.skip();
      }
      expect(done.status, `${command}\n${done.stdout}${done.stderr}`).to.equal(0);
    }
    expect(latestOutcomes(dir).map(({ verdict }) => verdict)).to.deep.equal(Array(7).fill('pass'));
    // How long the client was without the shop is in the record.
    expect(JSON.stringify(latestEvents(dir))).to.match(/"measures":\[\{"name":"[^"]*","value":\d/);
    remove();
  });
});
