import { accessSync, constants, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { root } from './netrig-command.js';

const browserFile = '/usr/bin/chromium';
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
/** Long enough for hosts, an engine and a terminal on a machine that is busy, ms. */
export const patience = 60_000;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const shots = join(root, 'docs', 'screenshots');

/** What keeps page tests from running here; `null`: nothing. */
export const noBrowser: string | null = ((): string | null => {
  try {
    accessSync(browserFile, constants.X_OK);
    return null;
  } catch {
    return 'chromium: apt-get install chromium';
  }
})();

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: browserFile, headless: true, args: flags });
}

/** Keeps what the browser complains of; answers yes to what is asked. */
export function watchPage(page: Page, complaints: string[]): void {
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('dialog', (dialog) => void dialog.accept());
}

/** What axe-core finds that keeps somebody from using the page. */
export async function obstacles(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found = await page.evaluate<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>(
    'axe.run(document)',
  );
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
}

const beyond = `(() => {
  if (document.documentElement.scrollWidth <= innerWidth) return [];
  const scrolls = (one) => one !== document.body && one !== null && (/auto|scroll|hidden/.test(getComputedStyle(one).overflowX) || scrolls(one.parentElement));
  const found = [...document.querySelectorAll('body *')]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !scrolls(one.parentElement))
    .map((one) => one.tagName + '.' + one.getAttribute('class') + ': ' + one.textContent.slice(0, 40));
  return found.length > 0 ? found : [document.documentElement.scrollWidth - innerWidth + ' px, of something that is not placed in its parent'];
})()`;

/** What makes the page wider than its window. */
export function beyondWindow(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(beyond);
}

/** For the docs, where that is asked for by NETRIG_SCREENSHOTS. */
export async function screenshot(page: Page, name: string): Promise<void> {
  if (process.env['NETRIG_SCREENSHOTS'] === undefined) return;
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`) });
}

/** Presses Tab until what has the focus is called that. */
export async function tabTo(page: Page, text: string, most = 250): Promise<void> {
  const focused = (): Promise<string> =>
    page.evaluate<string>(
      '(document.activeElement?.textContent || document.activeElement?.getAttribute("aria-label") || "").trim()',
    );
  for (let presses = 0; presses < most; presses += 1) {
    if ((await focused()) === text) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`"${text}" was not reached by Tab`);
}

/** The terminal that is shown, as text. */
export function screenOf(page: Page) {
  return page.locator('.screen:not([hidden]) .xterm-rows');
}

/** Opens a terminal, and waits for its prompt. */
export async function openTerminal(page: Page, place: string): Promise<void> {
  await page.getByRole('tab', { name: place, exact: true }).click();
  await page.getByRole('group', { name: `Terminal of ${place}` }).waitFor();
  await screenOf(page).getByText('#').first().waitFor({ timeout: patience });
}
