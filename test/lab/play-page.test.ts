import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { claimsOf } from '../../src/classroom/play.js';
import { catalogueBeside } from '../../src/scenario/catalogue.js';
import {
  beyondWindow,
  noBrowser,
  obstacles,
  openBrowser,
  openTerminal,
  patience,
  screenOf,
  screenshot,
  tabTo,
  watchPage,
} from './browser.js';
import { missing } from './local-labs.js';
import { netrig, root, type Started } from './netrig-command.js';

const lacking = missing ?? noBrowser;

(lacking ? describe.skip : describe)(
  `A guided lab in a browser: netrig play${lacking ? ` (needs ${lacking})` : ''}`,
  function () {
    this.timeout(240_000);
    const state = mkdtempSync(join(tmpdir(), 'netrig-test-play-'));
    const complaints: string[] = [];
    let browser: Browser;
    let context: BrowserContext;
    let page: Page;
    let served: Started;
    let link: string;

    before(async () => {
      const address = /http:\/\/127\.0\.0\.1:\d+\/join#\S+/;
      served = netrig(['play', join(root, 'scenarios/overlay/consul.yaml')], {
        cwd: state,
        env: { XDG_STATE_HOME: state },
      });
      await served.saw(address);
      link = address.exec(served.output())![0];
      browser = await openBrowser();
      context = await browser.newContext({ viewport: { width: 1400, height: 950 } });
      page = await context.newPage();
      watchPage(page, complaints);
    });

    after(async () => {
      await browser?.close();
      served?.child.kill('SIGINT');
      await served?.ended;
      rmSync(state, { recursive: true, force: true });
    });

    it('opens by its link, which leaves the code out of the address, and boots the lab by itself', async () => {
      await page.goto(link);
      await page.getByText('The lab is up.').waitFor({ timeout: patience });
      expect(page.url()).not.to.contain('#');
      expect(await page.getByRole('heading', { level: 1 }).textContent()).to.contain('Consul');
      expect(await page.locator('svg.topology').textContent()).to.contain('10.10.10.11/24');
    });

    it('lets nobody in without the code', async () => {
      const stranger = await browser.newContext();
      const other = await stranger.newPage();
      await other.goto(new URL('/', link).href);
      await other.getByText('You are not in').waitFor({ timeout: patience });
      await stranger.close();
    });

    it('has a terminal of each host that types and shows', async () => {
      await openTerminal(page, 'client');
      await page.keyboard.type('echo $((6*7))-$(hostname)\n');
      await screenOf(page).getByText('42-client').waitFor({ timeout: patience });
    });

    it('keeps what a terminal shows over a reload', async () => {
      await page.reload();
      await page.getByRole('tab', { name: 'client' }).click();
      await screenOf(page).getByText('42-client').waitFor({ timeout: patience });
    });

    it('keeps a full-screen program over a reload: its screen, its place, and the screen under it', async () => {
      const shown = (): Promise<string> => screenOf(page).innerText();
      const terminal = page.getByRole('group', { name: 'Terminal of client' });
      await terminal.click();
      await page.keyboard.type('seq 1000 2000 | less\n');
      await screenOf(page).getByText('1005').waitFor({ timeout: patience });
      await page.keyboard.press('Space');
      await screenOf(page).getByText('1005').waitFor({ state: 'hidden', timeout: patience });
      const before = await shown();
      await page.reload();
      await page.getByRole('tab', { name: 'client' }).click();
      await screenOf(page)
        .getByText(/^10[0-9]{2}$/)
        .first()
        .waitFor({ timeout: patience });
      expect(await shown()).to.equal(before);
      const last = Number(before.match(/\d{4}/g)!.at(-1));
      await terminal.click();
      await page.keyboard.press('Space');
      await screenOf(page)
        .getByText(String(last + 1), { exact: true })
        .waitFor({ timeout: patience });
      await page.keyboard.press('q');
      await screenOf(page).getByText('42-client').waitFor({ timeout: patience });
      expect(await shown()).not.to.contain(String(last + 2));
    });

    it('runs steps by a click, and turns checks green', async () => {
      const ready = page.getByRole('listitem').filter({ hasText: 'Consul has two members, both alive' });
      await ready.getByRole('button', { name: /^Check/ }).click();
      await ready.getByText('not yet').waitFor({ timeout: patience });
      const second = page.getByRole('listitem').filter({ hasText: 'A Consul agent on node2 joins it' }).last();
      await second.getByRole('button', { name: 'Run all up to here' }).click();
      await second.getByText('done', { exact: true }).waitFor({ timeout: patience });
      await page.waitForTimeout(1_500);
      await ready.getByRole('button', { name: /^Check/ }).click();
      await ready.getByText('done', { exact: true }).waitFor({ timeout: patience });
    });

    it('follows a packet, and draws its way', async () => {
      await page.getByLabel('from').selectOption('client');
      await page.getByLabel('to', { exact: true }).fill('node1');
      await page.getByRole('button', { name: 'Follow' }).click();
      await page.locator('.way').first().waitFor({ timeout: patience });
      expect(await page.locator('.way').first().textContent()).to.match(/client.*node1/);
      expect(await page.locator('.way-passed').count()).to.be.greaterThan(0);
    });

    it('takes the way away where the next packet has no target', async () => {
      const before = complaints.length;
      await page.getByLabel('to', { exact: true }).fill('no-such-name');
      await page.getByRole('button', { name: 'Follow' }).click();
      await page.getByRole('alert').getByText('no-such-name').waitFor({ timeout: patience });
      expect(await page.locator('.way').count()).to.equal(0);
      expect(await page.locator('.way-passed').count()).to.equal(0);
      await page.getByRole('alert').getByRole('button', { name: 'Close' }).click();
      // The browser itself complains of every answer that is a refusal.
      expect(complaints.splice(before).filter((one) => !one.includes('Failed to load resource'))).to.deep.equal([]);
    });

    it('says of a step that it was typed', async () => {
      const step = page.getByRole('listitem').filter({ hasText: 'Type it in the terminal' }).first();
      await step.getByRole('button', { name: 'Type it in the terminal' }).first().click();
      await step.locator('.badge').getByText('typed', { exact: true }).waitFor({ timeout: patience });
      await step.getByText('passes over what was typed').waitFor();
    });

    it('begins one host again: its steps stand as to do, and its terminal takes a new shell', async () => {
      await openTerminal(page, 'node2');
      await page.getByText('Begin again …').click();
      await page.getByLabel('Host to begin again').selectOption('node2');
      await page.getByRole('button', { name: 'Begin this host again' }).click();
      await page.getByText('node2 begins again').waitFor({ timeout: patience });
      await page.getByText('The lab is up.').waitFor({ timeout: patience });
      const first = page.getByRole('listitem').filter({ hasText: 'A Consul agent on node2 joins it' }).last();
      await first.locator('.badge').getByText('to do', { exact: true }).waitFor({ timeout: patience });
      // By itself, once the host answers.
      await page.getByText('The connection to the host was lost').waitFor({ state: 'detached', timeout: patience });
      await screenOf(page).getByText('node2').first().waitFor({ timeout: patience });
    });

    it('shows what the tutorial claims beside what holds', async () => {
      await page.evaluate('document.querySelectorAll("details").forEach((one) => { one.open = true; })');
      expect(await page.locator('.claims dt').count()).to.be.greaterThan(3);
      const file = join(root, 'scenarios/bridge/s0-default-bridge.yaml');
      const [claim] = claimsOf(catalogueBeside(file)!.catalogue, ['S0-07']);
      expect(claim).to.deep.include({ id: 'S0-07', claim: 'bridge0 gets the address 192.168.0.0/24' });
      expect(claim!.holds).to.match(/^It is not so\. That is the network's own address/);
    });

    for (const { name, width, scheme } of [
      { name: 'a wide window', width: 1400, scheme: 'light' },
      { name: 'dark mode', width: 1400, scheme: 'dark' },
      { name: '400 px', width: 400, scheme: 'light' },
    ] as const)
      it(`is usable by everybody in ${name}: axe-core finds nothing serious, and nothing is cut off`, async () => {
        await page.setViewportSize({ width, height: 950 });
        await page.emulateMedia({ colorScheme: scheme });
        expect(await obstacles(page)).to.deep.equal([]);
        expect(await beyondWindow(page), 'beyond the window').to.deep.equal([]);
        await screenshot(page, `play-${width}-${scheme}`);
      });

    it('is worked by the keyboard alone: a step, a terminal, a check', async () => {
      await page.setViewportSize({ width: 1400, height: 950 });
      await page.reload();
      await page.getByText('The lab is up.').waitFor({ timeout: patience });
      await page.locator('body').press('Tab');
      await tabTo(page, 'Check all tasks');
      await tabTo(page, 'node1');
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('Enter');
      await page.getByRole('group', { name: 'Terminal of node2' }).waitFor();
      await screenOf(page).getByText('#').first().waitFor({ timeout: patience });
      await page.keyboard.type('echo by-$((1+1))-keys\n');
      await screenOf(page).getByText('by-2-keys').waitFor({ timeout: patience });
    });

    it('complains of nothing in the browser, and leaves nothing when it ends', async () => {
      expect(complaints).to.deep.equal([]);
      await context.close();
      served.child.kill('SIGINT');
      const { status, stderr } = await served.ended;
      expect(status, stderr).to.equal(0);
      expect(readdirSync(join(state, 'netrig', 'play'))).to.deep.equal([]);
      expect(readdirSync(join(state, 'netrig', 'labs'))).to.deep.equal([]);
    });
  },
);
