import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { recordName } from '../../src/classroom/classroom.js';
import { openRecord } from '../../src/classroom/record.js';
import { knownTasks } from '../../src/classroom/tasks.js';
import { exerciseOf } from '../../src/exercise/exercise.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { beyondWindow, noBrowser, obstacles, openBrowser, patience, watchPage } from './browser.js';
import { tryClass, type TriedClass } from './class-client.js';
import { missing } from './local-labs.js';
import { root } from './netrig-command.js';

/** Ten tasks; nobody needs a lab to stand in the table. */
const exercise = join(root, 'test', 'fixtures', 'class', 'engines.yaml');
const students = Array.from({ length: 30 }, (_, at) => `student-${String(at + 1).padStart(2, '0')}`);
const names = { 'student-07': 'Maximiliane von Hohenlohe-Schillingsfürst' };
const lacking = missing ?? noBrowser;

/** Hand-ins of several that could not be judged, for the same reason, as a record of before has them. */
async function doubtful(directory: string, persons: readonly string[]): Promise<void> {
  const [scenario] = loadScenarioText(readFileSync(exercise, 'utf8'), exercise).scenarios;
  const exercised = exerciseOf(scenario!)!;
  const [first, ...others] = exercised.checks.map(({ id }) => id);
  const record = openRecord(join(directory, recordName));
  record.append({ type: 'exercise:tasks', exercise: 'engines', tasks: knownTasks(exercised) });
  for (const person of persons) {
    const about = { person, exercise: 'engines' };
    record.append({ type: 'person:known', person, name: person, role: 'student' });
    record.append({ type: 'round:asked', ...about, round: person, kind: 'hand-in', tasks: [first!, ...others] });
    const judged = (verdict: 'fail' | 'inconclusive', reason: string) => ({ verdict, reason, durationMs: 1 });
    const results = Object.fromEntries(others.map((task) => [task, judged('fail', 'no')]));
    record.append({
      type: 'round:judged',
      round: person,
      results: { ...results, [first!]: judged('inconclusive', 'the switch said nothing') },
    });
  }
  await record.flush();
  await record.close();
}

/** Whether the middle of what a selector finds is what one sees there, each of them. */
const inSight = (
  selector: string,
): string => `[...document.querySelectorAll(${JSON.stringify(selector)})].map((one) => {
  const box = one.getBoundingClientRect();
  const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return there !== null && (one.contains(there) || there.contains(one));
})`;

(lacking ? describe.skip : describe)(
  `A teacher’s table of thirty students and ten tasks${lacking ? ` (needs ${lacking})` : ''}`,
  function () {
    this.timeout(240_000);
    const complaints: string[] = [];
    let tried: TriedClass;
    let browser: Browser;
    let page: Page;

    before(async () => {
      tried = tryClass(students, 'limits: { reserve: 0 }', `exercises: [{ file: ${exercise} }]`, names);
      await doubtful(tried.directory, students.slice(0, 3));
      const { url } = await tried.start();
      browser = await openBrowser();
      page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
      watchPage(page, complaints);
      await page.goto(`${url}/join#${tried.codes().get('teacher-1')!}`);
      await page.getByRole('row').nth(30).waitFor({ timeout: patience });
    });

    after(async () => {
      await browser?.close();
      const { status, stderr } = await tried.run('stop');
      expect(status, stderr).to.equal(0);
      tried.remove();
    });

    it('has everything side by side in a window of 1280 px', async () => {
      expect(await page.evaluate('document.querySelector("table.class").offsetWidth')).to.be.at.most(1280);
      expect(await page.getByText('wider than the window').count()).to.equal(0);
      expect(await page.evaluate(inSight('table.class thead th'))).to.deep.equal(Array(13).fill(true));
      const cut =
        '[...document.querySelectorAll("table.class th *")].filter((one) => one.scrollHeight > one.clientHeight + 2).map((one) => one.textContent)';
      expect(await page.evaluate(cut), 'no name or title is cut off').to.deep.equal([]);
      expect(await beyondWindow(page)).to.deep.equal([]);
      expect(await obstacles(page)).to.deep.equal([]);
    });

    it('keeps its headings in sight down to the last student', async () => {
      await page.evaluate(
        'document.querySelector("table.class tfoot").scrollIntoView({ behavior: "instant", block: "end" })',
      );
      expect(await page.evaluate('scrollY')).to.be.greaterThan(0);
      expect(await page.evaluate(inSight('table.class thead th'))).to.deep.equal(Array(13).fill(true));
    });

    it('brings the work of whom one chooses into view, and goes back to their name', async () => {
      const [name, title] = ['Student student-03', 'Work of Student student-03'];
      await page.evaluate('scrollTo({ top: 0, behavior: "instant" })');
      await page.getByRole('button', { name, exact: true }).click();
      const work = page.getByRole('region', { name: title });
      await work.waitFor({ timeout: patience });
      const seen = (): Promise<boolean[]> => page.evaluate(inSight(`[aria-label="${title}"]:focus h2`));
      for (const end = Date.now() + patience; !(await seen())[0]; await delay(50))
        if (Date.now() > end) throw new Error(`the work is not in sight, or not in focus, after ${patience} ms`);
      expect(await obstacles(page)).to.deep.equal([]);
      await work.getByRole('button', { name: 'Back to the table' }).click();
      expect(await work.count()).to.equal(0);
      expect(await page.evaluate('document.activeElement?.textContent')).to.equal(name);
    });

    it('says where it is wider than the window, and keeps names and points in sight', async () => {
      await page.setViewportSize({ width: 700, height: 800 });
      await page.getByText('wider than the window: scroll it sideways for all 10 tasks').waitFor({ timeout: patience });
      await page.evaluate(
        'scrollTo({ top: 0, behavior: "instant" }); document.querySelector(".class-table").scrollTo({ left: 300, top: 400, behavior: "instant" })',
      );
      expect(await page.evaluate('document.querySelector(".class-table").scrollLeft')).to.equal(300);
      expect(
        await page.evaluate(inSight('table.class thead th:first-child, table.class thead th:last-child')),
      ).to.deep.equal([true, true]);
      const row = 'table.class tbody tr:nth-child(16)';
      expect(await page.evaluate(inSight(`${row} th, ${row} td:last-child`))).to.deep.equal([true, true]);
      expect(await beyondWindow(page)).to.deep.equal([]);
      expect(await obstacles(page)).to.deep.equal([]);
      expect(complaints).to.deep.equal([]);
    });

    it('has one word for all who have the same doubt, and one for each', async () => {
      await page.setViewportSize({ width: 1280, height: 800 });
      const doubts = page.getByRole('region', { name: 'To be decided by you' });
      await doubts.getByText('To be decided by you: 3').waitFor({ timeout: patience });
      await doubts.getByText(', 3 hand-ins: the switch said nothing').waitFor({ timeout: patience });
      await doubts.getByText('One by one').click();
      const one = doubts.getByRole('listitem').filter({ hasText: 'Student student-02' }).last();
      await one.getByLabel('why').fill('seen at the host');
      await one.getByRole('button', { name: 'Credit it', exact: true }).click();
      await doubts.getByText('To be decided by you: 2').waitFor({ timeout: patience });
      await doubts.getByLabel('why').first().fill('the switch was down for all');
      await doubts.getByRole('button', { name: 'Do not, all 2' }).click();
      await doubts.waitFor({ state: 'detached', timeout: patience });
      const grades = await page.evaluate('fetch("/api/teacher/grades/long.csv").then((answer) => answer.text())');
      const words = [...String(grades).matchAll(/^student-(\d\d),.*(credited|refused).*decided: (.*)$/gm)];
      expect(words.map(([, student, word, why]) => `${student} ${word} ${why!.trim()}`)).to.deep.equal([
        '01 refused the switch was down for all',
        '02 credited seen at the host',
        '03 refused the switch was down for all',
      ]);
      expect(await obstacles(page)).to.deep.equal([]);
      expect(complaints).to.deep.equal([]);
    });
  },
);
