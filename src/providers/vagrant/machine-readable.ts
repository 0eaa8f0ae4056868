/** One line of `vagrant --machine-readable`: what happened, to which machine (`''` where to none). */
export interface VagrantMessage {
  target: string;
  type: string;
  data: string[];
}

/** `TIMESTAMP,TARGET,TYPE,DATA…`; a comma in data is written `%!(VAGRANT_COMMA)`, a line break `\n`. `null` for a line of another form. */
export function parseMessage(line: string): VagrantMessage | null {
  const [time, target, type, ...data] = line.split(',');
  if (time === undefined || !/^\d+$/.test(time) || target === undefined || !type) return null;
  return {
    target,
    type,
    data: data.map((text) => text.replaceAll('%!(VAGRANT_COMMA)', ',').replaceAll('\\n', '\n').replaceAll('\\r', '\r')),
  };
}

export function parseMessages(output: string): VagrantMessage[] {
  return output.split('\n').flatMap((line) => parseMessage(line.trimEnd()) ?? []);
}

/** The error that ended a command: Vagrant's class of it, and what it says to people. `null` where there was none. */
export function errorOf(messages: readonly VagrantMessage[]): { kind: string; words: string } | null {
  const last = messages.findLast((message) => message.type === 'error-exit');
  if (!last) return null;
  return { kind: last.data[0] ?? '', words: (last.data[1] ?? '').trim() };
}

/** How `ssh` would reach one machine. */
export interface MachineLogin {
  host: string;
  port: number;
  user: string;
  /** Absolute paths of private keys, the likeliest first. */
  keys: string[];
}

/**
 * What `vagrant ssh-config` writes, by machine. Lines have one keyword and its value, in double quotes where it holds spaces.
 * Throws an Error naming what is missing, or what there is that cannot be done (ProxyCommand).
 */
export function parseSshConfig(text: string): Map<string, MachineLogin> {
  const machines = new Map<string, MachineLogin>();
  let name: string | undefined;
  let login: Partial<MachineLogin> & { keys: string[] } = { keys: [] };
  const finish = (): void => {
    if (name === undefined) return;
    const { host, port, user, keys } = login;
    if (host === undefined || port === undefined || user === undefined)
      throw new Error(
        `vagrant ssh-config does not say ${host === undefined ? 'HostName' : port === undefined ? 'Port' : 'User'} of ${name}`,
      );
    machines.set(name, { host, port, user, keys });
  };
  for (const line of text.split('\n')) {
    const match = /^\s*(\S+)\s+(.*?)\s*$/.exec(line);
    if (!match?.[1] || match[2] === undefined) continue;
    const value = /^"(.*)"$/.exec(match[2])?.[1] ?? match[2];
    switch (match[1].toLowerCase()) {
      case 'host':
        finish();
        name = value;
        login = { keys: [] };
        break;
      case 'hostname':
        login.host = value;
        break;
      case 'port': {
        const port = Number(value);
        if (!Number.isInteger(port) || port < 1 || port > 65_535)
          throw new Error(`vagrant ssh-config has no port but ${JSON.stringify(value)}`);
        login.port = port;
        break;
      }
      case 'user':
        login.user = value;
        break;
      case 'identityfile':
        login.keys.push(value);
        break;
      case 'proxycommand':
        throw new Error(`${name ?? 'a machine'} is reached by a ProxyCommand, which netrig does not run`);
    }
  }
  finish();
  return machines;
}

/** Names of the plugins that `vagrant plugin list --machine-readable` has. */
export function parsePlugins(output: string): string[] {
  return parseMessages(output).flatMap((message) =>
    message.type === 'plugin-name' && message.data[0] ? [message.data[0]] : [],
  );
}

/** Boxes of `vagrant box list --machine-readable`. */
export function parseBoxes(output: string): { name: string; provider: string; version: string }[] {
  const boxes: { name: string; provider: string; version: string }[] = [];
  for (const { type, data } of parseMessages(output)) {
    if (type === 'box-name') boxes.push({ name: data[0] ?? '', provider: '', version: '' });
    const last = boxes.at(-1);
    if (type === 'box-provider' && last) last.provider = data[0] ?? '';
    if (type === 'box-version' && last) last.version = data[0] ?? '';
  }
  return boxes;
}
