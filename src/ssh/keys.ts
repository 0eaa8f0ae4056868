import ssh2 from 'ssh2';

/** One ed25519 key pair in the forms that OpenSSH reads. */
export interface KeyPair {
  /** OpenSSH PEM (`-----BEGIN OPENSSH PRIVATE KEY-----`), unencrypted; ends in a newline, without which sshd refuses it. */
  privateKey: string;
  /** A line for `authorized_keys` or a `.pub` file: type, base64, comment. No newline at its end. */
  publicKeyLine: string;
  /** The line's second field: the base64 of the key's wire form, as `SshTarget.hostKey` has it. */
  publicKey: string;
}

/** The keys of one lab: made when it starts, gone with it. Nothing of them is ever shared with another lab. */
export interface LabKeys {
  /** What netrig logs in with. */
  privateKey: string;
  publicKeyLine: string;
  /** What every host of the lab shows. */
  hostPrivateKey: string;
  hostPublicKeyLine: string;
  /** For `SshTarget.hostKey`. */
  hostPublicKey: string;
}

/**
 * ssh2 1.17 strips zero bytes from the front of a new public key, so that one in 256 is too short and can be read by nobody,
 * ssh2 included (mscdex/ssh2#1390). Such a pair is thrown away.
 */
function readableKeyPair(comment: string): { private: string; public: string } {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519', { comment });
    if (!(ssh2.utils.parseKey(pair.private) instanceof Error) && !(ssh2.utils.parseKey(pair.public) instanceof Error))
      return pair;
  }
}

/**
 * A new ed25519 key pair. `comment` is for whoever reads the key file.
 * Throws a TypeError when `comment` has a line break, which would begin another line in `authorized_keys`.
 */
export function generateKeyPair(comment: string): KeyPair {
  if (/[\r\n\0]/.test(comment)) throw new TypeError(`a key's comment is one line: ${JSON.stringify(comment)}`);
  const pair = readableKeyPair(comment);
  const publicKeyLine = pair.public.trim();
  const publicKey = publicKeyLine.split(' ')[1];
  if (publicKey === undefined) throw new TypeError('the key generator made a public key line without a key');
  return { privateKey: `${pair.private.trimEnd()}\n`, publicKeyLine, publicKey };
}

/** The two key pairs of one lab. `lab` goes into the comments. Throws as `generateKeyPair` does. */
export function generateLabKeys(lab: string): LabKeys {
  const login = generateKeyPair(`netrig lab ${lab}`);
  const host = generateKeyPair(`netrig host of ${lab}`);
  return {
    privateKey: login.privateKey,
    publicKeyLine: login.publicKeyLine,
    hostPrivateKey: host.privateKey,
    hostPublicKeyLine: host.publicKeyLine,
    hostPublicKey: host.publicKey,
  };
}
