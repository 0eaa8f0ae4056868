import { expect } from 'chai';
import { mistakeCount } from '../../src/cli/load-or-print.js';
import type { Diagnostic } from '../../src/scenario/diagnostic.js';

const at = (file: string): Diagnostic => ({
  file,
  path: '',
  line: 1,
  column: 1,
  length: 1,
  message: 'wrong',
  lines: [],
});

describe('how many mistakes there are', () => {
  it('counts scenario files, also where a mistake stands in a file that one of them takes in', () => {
    const loaded = [{ diagnostics: [at('lab.yaml'), at('compose.yaml')] }, { diagnostics: [] }];
    expect(mistakeCount(loaded)).to.equal('2 mistakes in 1 of 2 files');
    expect(mistakeCount([{ diagnostics: [at('compose.yaml')] }])).to.equal('1 mistake in 1 of 1 file');
  });
});
