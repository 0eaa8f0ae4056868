import { expect } from 'chai';
import ssh2 from 'ssh2';
import { generateKeyPair, generateLabKeys } from '../../src/ssh/keys.js';

describe('ssh/keys', () => {
  it('makes an ed25519 pair whose halves belong together', () => {
    const pair = generateKeyPair('a lab');
    expect(pair.privateKey).to.match(/^-----BEGIN OPENSSH PRIVATE KEY-----\n[^]+\n-----END OPENSSH PRIVATE KEY-----\n$/);
    expect(pair.publicKeyLine).to.match(/^ssh-ed25519 [A-Za-z0-9+/]{68} a lab$/);
    const parsed = ssh2.utils.parseKey(pair.privateKey);
    if (parsed instanceof Error) throw parsed;
    expect(parsed.type).to.equal('ssh-ed25519');
    expect(parsed.getPublicSSH().toString('base64')).to.equal(pair.publicKey);
  });

  it('never makes the same twice, and keeps login and host apart', () => {
    const [one, two] = [generateLabKeys('x'), generateLabKeys('x')];
    expect(new Set([one.privateKey, one.hostPrivateKey, two.privateKey, two.hostPrivateKey]).size).to.equal(4);
    expect(one.hostPublicKeyLine.split(' ')[1]).to.equal(one.hostPublicKey);
  });

  it('refuses a comment that would begin another line', () => {
    expect(() => generateKeyPair('x\nssh-ed25519 AAAA evil')).to.throw(TypeError, /one line/);
  });
});
