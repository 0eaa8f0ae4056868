import { expect } from 'chai';
import ssh2 from 'ssh2';
import { generateKeyPair, generateLabKeys } from '../../src/ssh/keys.js';

describe('ssh/keys', () => {
  it('makes an ed25519 pair whose halves belong together', () => {
    const pair = generateKeyPair('a lab');
    expect(pair.privateKey).to.match(
      /^-----BEGIN OPENSSH PRIVATE KEY-----\n[^]+\n-----END OPENSSH PRIVATE KEY-----\n$/,
    );
    expect(pair.publicKeyLine).to.match(/^ssh-ed25519 [A-Za-z0-9+/]{68} a lab$/);
    const parsed = ssh2.utils.parseKey(pair.privateKey);
    if (parsed instanceof Error) throw parsed;
    expect(parsed.type).to.equal('ssh-ed25519');
    expect(parsed.getPublicSSH().toString('base64')).to.equal(pair.publicKey);
  });

  it('makes no pair that cannot be read, though ssh2 makes one in 256 so', () => {
    // By chance alone, one of 3000 goes unread with a probability of 1 - (255/256)^3000, which is 0.999992.
    for (let made = 0; made < 3000; made += 1) {
      const pair = generateKeyPair('x');
      for (const half of [pair.privateKey, pair.publicKeyLine]) {
        const parsed = ssh2.utils.parseKey(half);
        if (parsed instanceof Error) throw parsed;
      }
      expect(Buffer.from(pair.publicKey, 'base64').length).to.equal(51);
    }
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
