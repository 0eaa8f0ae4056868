/** A lab with a way to the outside, or without: who has none tries all, by the same words whatever provider made the hosts. */

/** All that root of a host can think of to get a packet out. */
const attempts = `
      ip route replace default via 10.86.0.2 || true
      ping -c 2 -W 1 203.0.113.9 || true
      timeout 1 bash -c 'echo x >/dev/udp/203.0.113.9/9' || true
      timeout 1 bash -c 'echo x >/dev/tcp/203.0.113.9/80' || true
      timeout 1 curl -s http://192.0.2.1:8080/ && exit 1
      timeout 1 curl -s http://127.0.0.1:8081/ && exit 1
      true`;

/** `opened`: what follows where there is a way; `null` for none. */
export const outsideScenario = (opened: string | null): string => `scenario: outside
title: A way to the outside, or none
outside: ${opened !== null}
hosts:
  a: { image: debian-12 }
  b: { image: debian-12, init: light }
  sealed: { image: debian-12, init: light, outside: false }
segments: { lan: { subnet: 10.86.0.0/24, hosts: { a: 10.86.0.1, b: 10.86.0.2, sealed: 10.86.0.3 } } }
steps:
  - step: Whoever has no way out tries all
    on: ${opened !== null ? 'sealed' : '[a, b, sealed]'}
    run: |${attempts}
  - check: The lab is as it was
    ping: { from: a, to: b }
${opened ?? ''}`;
