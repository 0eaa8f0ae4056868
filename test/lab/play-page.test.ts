import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { claimsOf } from '../../src/classroom/play.js';
import { catalogueBeside } from '../../src/scenario/catalogue.js';
import { netrig, root, type Started } from './netrig-command.js';

const browserFile = '/usr/bin/chromium';
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
/** Long enough for hosts, an engine and a terminal on a machine that is busy. */
const patience = 60_000;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const shots = join(root, 'docs', 'screenshots');

function runnable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What axe-core finds that keeps somebody from using the page. */
async function obstacles(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found = await page.evaluate<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>(
    'axe.run(document)',
  );
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
}

async function openAll(page: Page): Promise<void> {
  await page.evaluate('document.querySelectorAll("details").forEach((one) => { one.open = true; })');
}

describe('a guided lab in a browser: netrig play', function () {
  this.timeout(240_000);
  const state = mkdtempSync(join(tmpdir(), 'netrig-test-play-'));
  const complaints: string[] = [];
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let served: Started;
  let link: string;

  before(async function () {
    if (!runnable(browserFile)) {
      this.test?.parent?.tests.forEach(
        (test) => (test.title += ' (skipped: chromium is missing: apt-get install chromium)'),
      );
      this.skip();
    }
    const address = /http:\/\/127\.0\.0\.1:\d+\/join#\S+/;
    served = netrig(['play', join(root, 'scenarios/overlay/consul.yaml')], {
      cwd: state,
      env: { XDG_STATE_HOME: state },
    });
    await served.saw(address);
    link = address.exec(served.output())![0];
    browser = await chromium.launch({ executablePath: browserFile, headless: true, args: flags });
    context = await browser.newContext({ viewport: { width: 1400, height: 950 } });
    page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('dialog', (dialog) => void dialog.accept());
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
    await page.getByRole('tab', { name: 'client' }).click();
    await page.getByRole('group', { name: 'Terminal of client' }).waitFor();
    await page.waitForTimeout(1_000);
    await page.keyboard.type('echo $((6*7))-$(hostname)\n');
    await page.locator('.screen:not([hidden]) .xterm-rows').getByText('42-client').waitFor({ timeout: patience });
  });

  it('keeps what a terminal shows over a reload', async () => {
    await page.reload();
    await page.getByRole('tab', { name: 'client' }).click();
    await page.locator('.screen:not([hidden]) .xterm-rows').getByText('42-client').waitFor({ timeout: patience });
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

  it('shows what the tutorial claims beside what holds', async () => {
    await openAll(page);
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
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth'), 'px beyond the window').to.equal(
        0,
      );
      if (existsSync(shots) || process.env['NETRIG_SCREENSHOTS'] !== undefined) {
        mkdirSync(shots, { recursive: true });
        if (process.env['NETRIG_SCREENSHOTS'] !== undefined)
          await page.screenshot({ path: join(shots, `play-${width}-${scheme}.png`) });
      }
    });

  it('is worked by the keyboard alone: a step, a terminal, a check', async () => {
    await page.setViewportSize({ width: 1400, height: 950 });
    await page.reload();
    await page.getByText('The lab is up.').waitFor({ timeout: patience });
    await page.locator('body').press('Tab');
    const focused = (): Promise<string> => page.evaluate<string>('document.activeElement?.textContent ?? ""');
    for (let presses = 0; presses < 200 && !(await focused()).startsWith('Check all tasks'); presses += 1)
      await page.keyboard.press('Tab');
    expect(await focused()).to.match(/^Check all tasks/);
    for (let presses = 0; presses < 200 && (await focused()) !== 'node1'; presses += 1)
      await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowRight');
    expect(await focused()).to.equal('node2');
    await page.keyboard.press('Enter');
    await page.getByRole('group', { name: 'Terminal of node2' }).waitFor();
    await page.waitForTimeout(1_000);
    await page.keyboard.type('echo by-$((1+1))-keys\n');
    await page.locator('.screen:not([hidden]) .xterm-rows').getByText('by-2-keys').waitFor({ timeout: patience });
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
});
