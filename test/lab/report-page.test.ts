import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { writeReports } from '../../src/report/reports.js';
import { hostileRun, largeRun, overlayRun, wideRun, type RunBuilder } from '../fixtures/runs/builder.js';

const browser = '/usr/bin/chromium';
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

function runnable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

// What the page's document offers, as far as the tests ask; the project is compiled without the DOM's types.
interface Shown {
  visible: boolean;
  text: string;
}

describe('report: index.html in a browser', function () {
  this.timeout(60_000);
  let dir: string;
  let context: BrowserContext;
  const complaints: string[] = [];

  before(async function () {
    if (!runnable(browser)) {
      // The skip has to name what is missing, so that nobody takes it for a pass.
      this.test?.parent?.tests.forEach(
        (test) => (test.title += ' (skipped: chromium is missing: apt-get install chromium)'),
      );
      this.skip();
    }
    dir = mkdtempSync(join(tmpdir(), 'netrig-page-'));
    context = await chromium.launchPersistentContext(join(dir, 'profile'), {
      executablePath: browser,
      headless: true,
      args: flags,
      viewport: { width: 1280, height: 900 },
    });
    context.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    context.on('weberror', (error) => complaints.push(error.error().message));
    context.on('request', (request) => {
      if (!/^(file|data):/.test(request.url())) complaints.push(`request: ${request.url()}`);
    });
  });

  after(async () => {
    await context?.close();
    if (dir) rmSync(dir, { recursive: true, force: true });
  });

  async function open(name: string, run: RunBuilder, hash = ''): Promise<Page> {
    complaints.length = 0;
    run.save(join(dir, name));
    const { failures } = await writeReports(join(dir, name), { formats: ['html'] });
    expect(failures).to.deep.equal([]);
    const page = await context.newPage();
    await page.goto(pathToFileURL(join(dir, name, 'index.html')).href + hash);
    return page;
  }

  const shownItems = (page: Page): Promise<string[]> => page.locator('.items > li:visible .title').allTextContents();

  it('opens from a file without an error or a request to anywhere', async () => {
    const page = await open('overlay', overlayRun());
    expect(complaints).to.deep.equal([]);
    expect(await page.title()).to.equal('! 2 failed, 1 error, 1 inconclusive · netrig');
    expect(await page.locator('h1').innerText()).to.include('2 failed, 1 error, 1 inconclusive');
    expect(await page.locator('.items > li').count()).to.equal(15);
    const drawn = await page.locator('svg.topology text').allTextContents();
    for (const text of ['node1', 'node2', 'client', 'lan', 'office', 'ov_net1', '10.10.10.50/24', 'test1'])
      expect(drawn).to.include(text);
    await page.close();
  });

  it('shows the evidence when an item is opened, and all transcripts behind a fold', async () => {
    const page = await open('overlay', overlayRun());
    const item = page.locator('.items > li', { hasText: 'ov_net1 and ov_net2 are apart' });
    expect(await item.locator('.cmd').count()).to.equal(0);
    await item.locator('.item > summary').click();
    expect(await item.locator('.more > dl').innerText()).to.include('3 packets transmitted, 3 received');
    expect(await item.locator('.cmd').count()).to.equal(0);
    await item.locator('.raw > summary').click();
    expect(await item.locator('.cmd pre').innerText()).to.include('3 packets transmitted, 3 received');
    expect(await item.locator('.controls').innerText()).to.include('node1/test answers node2/test1');
    const cut = page.locator('.items > li', { hasText: 'MTU of the overlay' });
    await cut.locator('.item > summary').click();
    await cut.locator('.raw > summary').click();
    expect(await cut.locator('.cmd').innerText())
      .to.include('timed out')
      .and.include('Error response from daemon');
    expect(complaints).to.deep.equal([]);
    await page.close();
  });

  it('filters by verdict, by kind and by words, and says when nothing is left', async () => {
    const page = await open('overlay', overlayRun());
    await page.locator('.chip[data-filter=pass]').click();
    await page.locator('.chip[data-filter=skipped]').click();
    expect(await shownItems(page)).to.deep.equal([
      'ov_net1 and ov_net2 are apart',
      'Everybody reaches everybody on ov_net1',
      'MTU of the overlay is 1450',
      'After a restart of node2’s engine the ping works again',
    ]);
    expect(await page.locator('.chip[data-filter=pass]').getAttribute('aria-pressed')).to.equal('false');
    await page.locator('#search').fill('APART outsider');
    await page.getByText('1 of 15 shown', { exact: true }).waitFor({ timeout: 10_000 });
    expect(await shownItems(page)).to.deep.equal(['ov_net1 and ov_net2 are apart']);
    await page.locator('#search').fill('nothing of the kind');
    await page.getByText('0 of 15 shown', { exact: true }).waitFor({ timeout: 10_000 });
    expect(await page.locator('.empty').isVisible()).to.equal(true);
    await page.locator('#search').press('Escape');
    await page.locator('.chip[data-filter=pass]').click();
    await page.locator('.chip[data-filter=check]').click();
    expect(await shownItems(page)).to.have.length(4);
    await page.close();
  });

  it('is worked by keyboard: slash to search, Enter opens an item', async () => {
    const page = await open('overlay', overlayRun());
    await page.keyboard.press('/');
    expect(await page.evaluate('document.activeElement.id')).to.equal('search');
    await page.locator('.items > li summary').first().focus();
    await page.keyboard.press('Enter');
    expect(await page.locator('.items > li').first().locator('.more').isVisible()).to.equal(true);
    await page.close();
  });

  it('a link to a finding opens it', async () => {
    const page = await open('overlay', overlayRun());
    await page.locator('.findings a').first().click();
    await page.locator('#i0-7 details[open]').waitFor({ timeout: 10_000 });
    expect(await page.locator('#i0-7 .more').isVisible()).to.equal(true);
    await page.close();
  });

  it('shows what a hostile lab wrote as text', async () => {
    const page = await open('hostile', hostileRun());
    await page.locator('#open-all').click();
    expect(await page.evaluate('window.pwned')).to.equal(undefined);
    expect(await page.locator('img, iframe, object, embed').count()).to.equal(0);
    await page.locator('.raw > summary').first().click();
    expect(await page.locator('.cmd pre').first().innerText()).to.include('</script><script>window.pwned=1</script>');
    expect(await page.locator('svg.topology').innerHTML()).to.include('&lt;script&gt;');
    const links = (await page.evaluate("[...document.querySelectorAll('a[href]')].map((a) => a.protocol)")) as string[];
    expect([...new Set(links)]).to.deep.equal(['file:']);
    expect(complaints).to.deep.equal([]);
    await page.close();
  });

  it('has colours for the dark and for the light, by system and by button', async () => {
    const page = await open('overlay', overlayRun());
    const paper = (): Promise<unknown> => page.evaluate('getComputedStyle(document.body).backgroundColor');
    await page.emulateMedia({ colorScheme: 'light' });
    const light = await paper();
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await paper()).to.not.equal(light);
    await page.locator('#theme').click();
    expect(await paper()).to.equal(light);
    await page.evaluate('localStorage.clear()');
    await page.close();
  });

  for (const width of [390, 768, 1280, 1920]) {
    it(`does not scroll sideways at ${width} px, also with 24 hosts`, async () => {
      const page = await open('wide', wideRun(24, 3, 2));
      await page.setViewportSize({ width, height: 900 });
      expect(await page.evaluate('document.documentElement.scrollWidth')).to.equal(width);
      await page.close();
    });
  }

  it('stays usable with 2000 items', async () => {
    const page = await open('large', largeRun(2000, 8));
    await page.locator('.chip[data-filter=pass]').click();
    await page.locator('#search').fill('10.0.0.96');
    await page.getByText('8 of 2000 shown', { exact: true }).waitFor({ timeout: 10_000 });
    expect(complaints).to.deep.equal([]);
    await page.close();
  });

  it('tells the verdicts without scripts too', async () => {
    overlayRun().save(join(dir, 'plain'));
    await writeReports(join(dir, 'plain'), { formats: ['html'] });
    const plain = await chromium.launch({ executablePath: browser, headless: true, args: flags });
    try {
      const page = await (await plain.newContext({ javaScriptEnabled: false })).newPage();
      await page.goto(pathToFileURL(join(dir, 'plain', 'index.html')).href);
      expect(await shownItems(page)).to.have.length(15);
      expect(await page.locator('.tools').isVisible()).to.equal(false);
      await page.locator('.items > li .item > summary').nth(7).click();
      const more = page.locator('.items > li .more').nth(7);
      const shown: Shown = { visible: await more.isVisible(), text: await more.innerText() };
      expect(shown.visible).to.equal(true);
      expect(shown.text).to.include('no reply (timeout or host-unreachable)');
    } finally {
      await plain.close();
    }
  });

  it('prints findings with their evidence', async () => {
    const page = await open('overlay', overlayRun());
    const pdf = await page.pdf({ format: 'A4' });
    expect(pdf.length).to.be.greaterThan(10_000);
    expect(await page.locator('.items > li.fail .more pre').first().innerText()).to.include('3 packets transmitted');
    expect(await page.locator('.items > li.fail details.item[open]').count()).to.equal(2);
    await page.close();
  });
});
