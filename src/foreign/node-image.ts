/** What host images here stand for a node's container image: Debian packages that hold the same programs. */
interface Known {
  pattern: RegExp;
  packages: string[];
}

const known: readonly Known[] = [
  { pattern: /(^|\/)(frrouting\/frr|frr|quagga)(:|$)/, packages: ['frr'] },
  { pattern: /(^|\/)(bind|bind9)(:|$)/, packages: ['bind9'] },
  { pattern: /(^|\/)(bird|bird2)(:|$)/, packages: ['bird2'] },
  { pattern: /(^|\/)dnsmasq(:|$)/, packages: ['dnsmasq-base'] },
  { pattern: /(^|\/)haproxy(:|$)/, packages: ['haproxy'] },
  { pattern: /(^|\/)nginx(:|$)/, packages: ['nginx-light'] },
  { pattern: /(^|\/)keepalived(:|$)/, packages: ['keepalived'] },
];

/** Images that are a plain system, which every host here is. */
const plain = /(^|\/)(alpine|debian|ubuntu|busybox|base|network-multitool|netshoot|linux)(:|$)/;

/** The packages of an image by its name; `null`: it holds something that is not known here. */
export function packagesOf(image: string): string[] | null {
  const found = known.find(({ pattern }) => pattern.test(image));
  return found ? found.packages : plain.test(image) ? [] : null;
}
