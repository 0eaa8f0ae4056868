import Mocha from 'mocha';

/** Mocha's spec reporter, with a closing line of plain counts that scripts can read. Skipped tests name their reason in their title. */
export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      // After the epilogue of the parent, which listens to the same event.
      setImmediate(() => {
        const { passes, failures, pending } = this.stats;
        process.stdout.write(`\n${passes} passed, ${failures} failed, ${pending} skipped\n`);
      });
    });
  }
}
