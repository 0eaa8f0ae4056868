import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Browser, Locator, Page } from 'playwright-core';
import { noBrowser, obstacles, openBrowser, openTerminal, patience, watchPage } from './browser.js';
import { missing } from './local-labs.js';
import { netrig, type Started } from './netrig-command.js';

const exercise = `scenario: handed-out
title: A door for one
exercise: { text: 'Let **client** reach port \${port} of server.', feedback: seen }
parameters: { port: { port: 8000..8999 } }
hosts: { client: { init: light }, server: { init: light } }
segments: { lan: { subnet: 10.70.0.0/24, hosts: { client: 10.70.0.10, server: 10.70.0.20 } } }
steps:
  - step: The filter of before
    on: server
    run: iptables -A INPUT -p tcp -j DROP
  - on: server
    start: busybox httpd -f -p \${port}
  - step: The way that the author took
    role: solution
    on: server
    run: iptables -I INPUT -p tcp --dport \${port} -j ACCEPT
  - check: The port is open
    points: 4
    hint: { timeout: Something swallows the packets. }
    port: { from: client, to: server, port: "\${port}" }
  - check: A task that is kept from students
    points: 1
    shown: never
    port: { from: client, to: 10.70.0.20, port: "\${port}" }
`;
const lacking = missing ?? noBrowser;

(lacking ? describe.skip : describe)(
  `A handout in a browser: netrig play at home${lacking ? ` (needs ${lacking})` : ''}`,
  function () {
    this.timeout(240_000);
    const state = mkdtempSync(join(tmpdir(), 'netrig-test-handout-'));
    const env = { XDG_STATE_HOME: state };
    const complaints: string[] = [];
    let browser: Browser;
    let page: Page;
    let served: Started;
    let task: Locator;
    let port: string;

    before(async () => {
      writeFileSync(join(state, 'door.yaml'), exercise);
      const written = await netrig(['class', 'handout', 'door.yaml', 'home'], { cwd: state, env }).ended;
      expect(written.status, written.stderr).to.equal(0);
      // The author's file is not what they have at home.
      rmSync(join(state, 'door.yaml'));
      served = netrig(['play', join('home', 'door.yaml')], { cwd: state, env });
      const address = /http:\/\/127\.0\.0\.1:\d+\/join#\S+/;
      await served.saw(address);
      browser = await openBrowser();
      page = await (await browser.newContext({ viewport: { width: 1400, height: 950 } })).newPage();
      watchPage(page, complaints);
      await page.goto(address.exec(served.output())![0]);
      await page.getByText('The lab is up.').waitFor({ timeout: patience });
      task = page.getByRole('listitem').filter({ hasText: 'The port is open' });
    });

    after(async () => {
      await browser?.close();
      served?.child.kill('SIGINT');
      const ended = await served?.ended;
      rmSync(state, { recursive: true, force: true });
      if (ended) expect(ended.status, ended.stderr).to.equal(0);
    });

    it('shows text and tasks, and nothing of the solution, of set-up or of what is kept back', async () => {
      const text = await page.locator('main').innerText();
      port = /port (\d{4}) of server/.exec(text)![1]!;
      expect(text).to.contain('The port is open');
      for (const kept of ['The way that the author took', 'The filter of before', 'kept from students', 'iptables'])
        expect(text).not.to.contain(kept);
      expect(await page.getByRole('button', { name: /^Run/ }).count(), 'steps to run').to.equal(0);
      expect(readFileSync(join(state, 'home', 'door.yaml'), 'utf8'))
        .to.not.contain('author')
        .and.not.contain('kept from students');
      expect(await obstacles(page)).to.deep.equal([]);
    });

    it('says of a red task what was seen, and neither why nor what mends it; follows no packets', async () => {
      await task.getByRole('button', { name: /^Check/ }).click();
      await task.getByText('not yet').waitFor({ timeout: patience });
      await task.getByText('does not answer client').waitFor({ timeout: patience });
      expect(await task.innerText())
        .to.contain('timeout')
        .and.not.match(/iptables|To mend it|Why|INPUT/);
      expect(await page.getByRole('button', { name: 'Follow' }).count()).to.equal(0);
    });

    it('opens a hint when it is asked for, and not before', async () => {
      expect(await page.getByText('Something swallows the packets.').count()).to.equal(0);
      await task.getByRole('button', { name: /^A hint/ }).click();
      await task.getByText('Something swallows the packets.').waitFor({ timeout: patience });
    });

    it('turns the task green once it is done in a terminal, and keeps that over a reload', async () => {
      await openTerminal(page, 'server');
      await page.keyboard.type(`iptables -I INPUT -p tcp --dport ${port} -j ACCEPT\n`);
      await task.getByText('done', { exact: true }).waitFor({ timeout: patience });
      await page.reload();
      await task.getByText('done', { exact: true }).waitFor({ timeout: patience });
      expect(complaints).to.deep.equal([]);
    });
  },
);
