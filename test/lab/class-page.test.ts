import { join } from 'node:path';
import { expect } from 'chai';
import type { Browser, Locator, Page } from 'playwright-core';
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
import { tryClass, type TriedClass } from './class-client.js';
import { missing } from './local-labs.js';
import { root } from './netrig-command.js';

const exercises = `exercises: [{ file: ${join(root, 'scenarios/exercises/silent-router.yaml')}, feedback: seen }]`;
const limits = 'limits: { labs: 4, starting: 2, reserve: 0 }';
const lacking = missing ?? noBrowser;
/** A name that would run, colour and break out, were it anything but text. */
const hostile = `<img src=x onerror="document.title='harmed'"> ${'long '.repeat(30)}`;

(lacking ? describe.skip : describe)(
  `The pages of a class in three browsers at once${lacking ? ` (needs ${lacking})` : ''}`,
  function () {
    this.timeout(240_000);
    const complaints: string[] = [];
    let tried: TriedClass;
    let address: string;
    let browser: Browser;
    let ada: Page;
    let bob: Page;
    let teacher: Page;

    async function enter(url: string, code: string): Promise<Page> {
      const context = await browser.newContext({ viewport: { width: 1400, height: 950 } });
      const page = await context.newPage();
      watchPage(page, complaints);
      await page.goto(`${url}/join#${code}`);
      await page.waitForURL((now) => now.pathname !== '/join', { timeout: patience });
      return page;
    }

    const task = (page: Page, title: string) => page.getByRole('listitem').filter({ hasText: title });
    /** What the teacher’s page says of what was done. */
    const told = (words: string | RegExp) =>
      teacher.locator('.news [role=status] span').getByText(words).waitFor({ timeout: patience });
    /** What the browser complains of because a test wanted it so. */
    const forgive = (what: RegExp): void => {
      complaints.splice(0, complaints.length, ...complaints.filter((one) => !what.test(one)));
    };
    const inSight = (element: Locator): Promise<boolean> =>
      element.boundingBox().then((box) => {
        const { height } = teacher.viewportSize()!;
        return box !== null && box.y >= 0 && box.y + box.height <= height;
      });
    const rowOf = (name: string) => teacher.getByRole('row').filter({ hasText: name });

    before(async () => {
      tried = tryClass(['ada', 'bob', 'eve'], limits, exercises, { bob: hostile });
      const { url } = await tried.start();
      address = url;
      browser = await openBrowser();
      const codes = tried.codes();
      ada = await enter(url, codes.get('ada')!);
      bob = await enter(url, codes.get('bob')!);
      teacher = await enter(url, codes.get('teacher-1')!);
    });

    after(async () => {
      await browser?.close();
      const { status, stderr } = await tried.run('stop');
      expect(status, stderr).to.equal(0);
      tried.remove();
    });

    it('shows the text with the student’s own values, and gives a lab by a button', async () => {
      const own = /10\.61\.1\.\d+/;
      await ada.getByRole('button', { name: 'Start the lab' }).click();
      await bob.getByRole('button', { name: 'Start the lab' }).click();
      await ada.getByText('The lab is up.').waitFor({ timeout: patience });
      await bob.getByText('The lab is up.').waitFor({ timeout: patience });
      const [adas, bobs] = [
        await ada.locator('svg.topology').textContent(),
        await bob.locator('svg.topology').textContent(),
      ];
      expect(adas).to.match(own);
      expect(own.exec(adas!)![0]).not.to.equal(own.exec(bobs!)![0]);
    });

    it('says of a task what was seen, and opens a hint when it is asked for', async () => {
      await ada.getByRole('button', { name: 'Check all tasks' }).click();
      const forwards = task(ada, 'The router forwards');
      await forwards.getByText('not yet').waitFor({ timeout: patience });
      await ada
        .locator('.news [role=status] span')
        .getByText(/^Checked: .*“.*The router forwards/)
        .waitFor({ timeout: patience });
      expect(await forwards.textContent()).not.to.contain('which kernel parameter');
      await forwards.getByRole('button', { name: /hint/ }).click();
      const hint = forwards.getByText('which kernel parameter');
      await hint.waitFor({ timeout: patience });
      expect(await forwards.getByRole('button', { name: /hint/ }).count(), 'none is left for what was seen').to.equal(
        0,
      );
      await ada.waitForFunction(
        '(() => { const { top, bottom } = [...document.querySelectorAll(".hint")].at(-1).getBoundingClientRect(); return top >= 0 && bottom <= innerHeight; })()',
        undefined,
        { timeout: patience },
      );
    });

    it('turns a task green by itself, a while after something was typed', async () => {
      await openTerminal(ada, 'router');
      await ada.keyboard.type('sysctl -w net.ipv4.ip_forward=1\n');
      await screenOf(ada).getByText('net.ipv4.ip_forward = 1').waitFor({ timeout: patience });
      await task(ada, 'The router forwards').getByText('done', { exact: true }).waitFor({ timeout: patience });
    });

    it('has it on the teacher’s table at once, with tries and hints', async () => {
      const row = rowOf('Student ada');
      await row.locator('td.cell.pass').first().waitFor({ timeout: patience });
      expect(await row.locator('td.cell.pass').first().textContent()).to.match(/done.*1 hint/);
      await teacher.getByText(/2 of 3 students here/).waitFor({ timeout: patience });
    });

    it('brings a call for help to the teacher, who comes first to the one who waits', async () => {
      await bob.getByPlaceholder('what is it about?').fill('nothing passes <b>at all</b>');
      await bob.getByRole('button', { name: 'Ask for help' }).click();
      await bob.getByText('you are next').waitFor({ timeout: patience });
      await teacher.getByText('1 asks for help').waitFor({ timeout: patience });
      expect(await teacher.getByRole('rowheader').nth(0).textContent()).to.contain('onerror');
      await rowOf('onerror').getByRole('button').click();
      await teacher.getByText('Asks for help: nothing passes <b>at all</b>').waitFor({ timeout: patience });
    });

    it('lets the teacher look on, and type once the student said yes', async () => {
      await openTerminal(bob, 'client');
      await openTerminal(teacher, 'client');
      await bob.getByText(/looks on at client/).waitFor({ timeout: patience });
      await teacher.keyboard.type('echo must-not-be-typed\n');
      await bob.locator('.screen:not([hidden]) textarea').focus();
      await bob.keyboard.type('echo $((40+2))-bob\n');
      await screenOf(teacher).getByText('42-bob').waitFor({ timeout: patience });
      const width = (page: Page): Promise<number> =>
        page.evaluate<number>('document.querySelector(".screen:not([hidden]) .xterm-screen").clientWidth');
      expect(await width(teacher), 'as wide as the student’s, so that lines end where they end').to.equal(
        await width(bob),
      );
      expect(await screenOf(bob).textContent()).not.to.contain('must-not-be-typed');
      await teacher.getByRole('button', { name: 'Ask to type at client' }).click();
      await bob.getByRole('button', { name: 'Yes, go ahead' }).click();
      await teacher.getByLabel('type, where the student said yes').check();
      await openTerminal(teacher, 'client');
      await teacher.waitForTimeout(500);
      await teacher.keyboard.type('echo $((1+1))-from-teacher\n');
      await screenOf(bob).getByText('2-from-teacher').waitFor({ timeout: patience });
      await told(/was asked whether you may type at client/);
      await teacher.getByRole('button', { name: 'Helped' }).click();
      await told(/onerror.*waits for help no more/);
      await bob.getByRole('button', { name: 'Ask for help' }).waitFor({ timeout: patience });
    });

    it('carries a message to all, and more time to one', async () => {
      await teacher
        .getByRole('textbox', { name: 'Message' })
        .fill('Ten more minutes <script>document.title="harmed"</script>');
      await teacher.getByRole('button', { name: 'Send' }).click();
      await told('Message sent to all 3 students.');
      for (const page of [ada, bob]) await page.getByText('Ten more minutes <script>').waitFor({ timeout: patience });
      const left = async (): Promise<number> => {
        const [minutes, seconds] = /(\d+):(\d+) left/
          .exec((await ada.getByRole('timer').textContent())!)!
          .slice(1)
          .map(Number);
        return minutes! * 60 + seconds!;
      };
      const before = await left();
      const form = teacher.locator('form').filter({ hasText: 'More time' });
      await form.getByLabel('for').selectOption('ada');
      await form.getByRole('button', { name: 'Give' }).click();
      while ((await left()) <= before) await ada.waitForTimeout(200);
      expect((await left()) - before).to.be.greaterThan(500);
      await told(/^10 minutes more for Student ada: /);
      const given = await left();
      await form.getByLabel('More time').fill('-5');
      await form.getByRole('button', { name: 'Give' }).click();
      await told(/^5 minutes less for Student ada: /);
      while ((await left()) > given - 200) await ada.waitForTimeout(200);
    });

    it('says in sight, and to screen readers, what the teacher did, and what went wrong of it', async () => {
      const message = teacher.getByRole('textbox', { name: 'Message' });
      await message.fill('lost');
      await teacher.route('**/api/teacher/message', (route) => route.abort());
      await teacher.getByRole('button', { name: 'Send' }).click();
      const alert = teacher.locator('.news').getByRole('alert');
      await alert.getByText('Message to all 3 students, not sent').waitFor({ timeout: patience });
      expect(await inSight(alert), 'although the form is at the end of the page').to.equal(true);
      expect(await teacher.locator('.news .done').count(), 'what was done before').to.equal(0);
      expect(await message.inputValue(), 'is there to be sent again').to.equal('lost');
      await teacher.unroute('**/api/teacher/message');
      forgive(/ERR_FAILED/);
      await teacher.getByRole('button', { name: 'Send' }).click();
      await told('Message sent to all 3 students.');
      expect(await inSight(teacher.locator('.news .done'))).to.equal(true);
      expect(await alert.count()).to.equal(0);
    });

    it('gives one student a new link: the page that came in by the former one is out, and no other', async () => {
      const eve = await enter(address, tried.codes().get('eve')!);
      await eve.getByRole('button', { name: 'Start the lab' }).waitFor({ timeout: patience });
      const form = teacher.locator('form').filter({ hasText: 'New link for' });
      await form.getByLabel('New link for').selectOption('eve');
      await form.getByRole('button', { name: 'Make' }).click();
      await told(/^Student eve has a new link/);
      await eve.getByText('You are not in').waitFor({ timeout: patience });
      // Its tries to come in again are refused, as they have to be.
      forgive(/401/);
      const link = await form.getByLabel('Link of Student eve').inputValue();
      await eve.goto('about:blank');
      await eve.goto(link);
      await eve.getByRole('button', { name: 'Start the lab' }).waitFor({ timeout: patience });
      await eve.context().close();
      await ada.getByText('The lab is up.').waitFor({ timeout: patience });
      expect(await ada.getByText('You are not in').count()).to.equal(0);
    });

    it('takes a hand-in, with points', async () => {
      const reaches = await task(ada, 'client reaches server').textContent();
      expect(reaches, 'what was seen, and not why').to.contain('does not answer client').and.not.contain('route');
      await ada.getByRole('button', { name: 'Hand in' }).click();
      await ada.getByText(/^Handed in/).waitFor({ timeout: patience });
      await ada.getByText(/of 8 points/).waitFor({ timeout: patience });
      await rowOf('Student ada').getByText('handed in').waitFor({ timeout: patience });
      const csv = await teacher.evaluate<string>(
        'fetch("/api/teacher/grades/wide.csv").then((answer) => answer.text())',
      );
      expect(csv).to.match(/^ada,/m);
    });

    for (const { name, width, scheme } of [
      { name: 'a wide window', width: 1400, scheme: 'light' },
      { name: 'dark mode', width: 1400, scheme: 'dark' },
      { name: '400 px', width: 400, scheme: 'light' },
    ] as const)
      it(`is usable by everybody in ${name}: axe-core finds nothing serious, nothing is cut off`, async () => {
        for (const [who, page] of Object.entries({ student: ada, teacher })) {
          await page.setViewportSize({ width, height: 950 });
          await page.emulateMedia({ colorScheme: scheme });
          expect(await obstacles(page), who).to.deep.equal([]);
          expect(await beyondWindow(page), `beyond the window of ${who}`).to.deep.equal([]);
          await page.evaluate('scrollTo(0, 0)');
          await screenshot(page, `class-${who}-${width}-${scheme}`);
        }
      });

    it('is worked by the keyboard alone', async () => {
      await ada.setViewportSize({ width: 1400, height: 950 });
      await ada.reload();
      await ada.getByText('The lab is up.').waitFor({ timeout: patience });
      await tabTo(ada, 'Check all tasks');
      await ada.keyboard.press('Enter');
      await tabTo(ada, 'client');
      await ada.keyboard.press('ArrowRight');
      await ada.keyboard.press('Enter');
      await screenOf(ada).getByText('#').first().waitFor({ timeout: patience });
      await ada.keyboard.type('echo by-$((1+1))-keys\n');
      await screenOf(ada).getByText('by-2-keys').waitFor({ timeout: patience });
      await tabTo(teacher, 'Student ada');
      await teacher.keyboard.press('Enter');
      await teacher.getByRole('region', { name: 'Work of Student ada' }).waitFor({ timeout: patience });
    });

    it('resets a lab for a student, whose terminals and tasks begin anew', async () => {
      await teacher.getByRole('button', { name: 'Reset the lab' }).click();
      await task(ada, 'The router forwards').getByText('not tried yet').waitFor({ timeout: patience });
      await ada.getByText('The lab is up.').waitFor({ timeout: patience });
      await openTerminal(ada, 'router');
      await ada.keyboard.type('sysctl -n net.ipv4.ip_forward | sed s/^/forwards:/\n');
      await screenOf(ada).getByText('forwards:0').waitFor({ timeout: patience });
    });

    it('is harmed by nothing that anybody wrote', async () => {
      for (const page of [ada, bob, teacher]) expect(await page.title()).not.to.contain('harmed');
      expect(await teacher.locator('img').count()).to.equal(0);
      expect(complaints).to.deep.equal([]);
    });
  },
);
