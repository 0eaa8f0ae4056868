import { NetrigError } from '../errors.js';
import type { ProviderName } from '../scenario/schema.js';
import { containerProvider } from './container/provider.js';
import { localProvider } from './local/provider.js';
import { labDirectory } from './ssh/journal.js';
import { sshProvider } from './ssh/provider.js';
import { journalLine, loadingImages } from './shared/wanted-images.js';
import { vagrantProvider } from './vagrant/provider.js';
import type { Provider } from './provider.js';

/** Every provider by its name. A new one is a line here, and its name in `providerNames`. */
export const providers: Readonly<Record<ProviderName, Provider>> = {
  local: localProvider,
  container: loadingImages(containerProvider),
  vagrant: loadingImages(vagrantProvider),
  ssh: loadingImages(sshProvider, journalLine(`${labDirectory}/undo`)),
};

/** Throws NETRIG_USAGE naming those that exist. */
export function providerNamed(name: string): Provider {
  if (Object.hasOwn(providers, name)) return providers[name as ProviderName];
  throw new NetrigError(
    'NETRIG_USAGE',
    `There is no provider "${name}"; there is ${Object.keys(providers).join(', ')}.`,
    { hint: 'Choose one of those named.' },
  );
}
