import { expect } from 'chai';
import { classifyBuildFailure, codedIfNoSpace, tellingLine } from '../../src/images/build-failure.js';
import { isNetrigError } from '../../src/errors.js';
import { mmdebstrapOutputs } from './images-outputs.js';

const context = {
  image: 'debian-11',
  step: 'mmdebstrap',
  cache: '/var/cache/somewhere',
  logFile: '/var/cache/logs/image-debian-11.log',
};

describe('images/build-failure', () => {
  const expected = {
    refused: 'NETRIG_MIRROR_UNREACHABLE',
    unresolved: 'NETRIG_MIRROR_UNREACHABLE',
    fullWhileFetching: 'NETRIG_CACHE_FULL',
    fullWhileUnpacking: 'NETRIG_CACHE_FULL',
    noPackage: 'NETRIG_IMAGE_BUILD',
    unsigned: 'NETRIG_IMAGE_BUILD',
  } as const;
  for (const [name, code] of Object.entries(expected)) {
    it(`calls ${name} ${code}`, () => {
      const error = classifyBuildFailure(mmdebstrapOutputs[name as keyof typeof expected], context);
      expect(error.code).to.equal(code);
      expect(error.message).to.include('debian-11').and.to.include('mmdebstrap');
    });
  }

  it('names the first failing line, not the last', () => {
    expect(classifyBuildFailure(mmdebstrapOutputs.refused, context).message)
      .to.include('Could not connect to 127.0.0.1:9')
      .and.not.to.include('failed to run');
    expect(classifyBuildFailure(mmdebstrapOutputs.noPackage, context).message)
      .to.include('Unable to locate package nosuchpackage')
      .and.to.include(context.logFile);
    expect(classifyBuildFailure(mmdebstrapOutputs.fullWhileUnpacking, context).message)
      .to.include('warnings.pm: Cannot write: No space left on device')
      .and.to.include(context.cache);
  });

  it('does not call a mirror unreachable whose signature is not to be trusted', () => {
    const error = classifyBuildFailure(mmdebstrapOutputs.unsigned, context);
    expect(error.message).to.include('NO_PUBKEY BDE6D2B9216EC7A8');
    expect(error.hint).to.include('debian-archive-keyring');
  });

  it('has words for output that says nothing', () => {
    expect(tellingLine('')).to.equal('it said nothing');
    expect(tellingLine('one\ntwo\n')).to.equal('two');
  });

  it('makes a coded error of ENOSPC and EDQUOT only', () => {
    const full = codedIfNoSpace(Object.assign(new Error('write'), { code: 'ENOSPC' }), '/cache');
    expect(isNetrigError(full, 'NETRIG_CACHE_FULL')).to.equal(true);
    expect(
      isNetrigError(
        codedIfNoSpace(Object.assign(new Error('write'), { code: 'EDQUOT' }), '/cache'),
        'NETRIG_CACHE_FULL',
      ),
    ).to.equal(true);
    const other = Object.assign(new Error('write'), { code: 'EIO' });
    expect(codedIfNoSpace(other, '/cache')).to.equal(other);
  });
});
