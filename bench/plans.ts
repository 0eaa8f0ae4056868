import type { LabPlan } from '../src/plan/lab-plan.js';

/** `count` hosts alike on one segment, without engines. */
export function hostsPlan(count: number, init: 'systemd' | 'light'): LabPlan {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  return {
    title: 'bench',
    slug: 'bench',
    bootTimeoutMs: 60_000,
    segments: [{ name: 'lan', subnet: '10.20.0.0/24', mtu: null }],
    hosts: numbers.map((number) => ({
      name: `h${number}`,
      image: 'debian-11',
      init,
      engine: false,
      containerImages: [],
      interfaces: [
        {
          name: 'eth0',
          segment: 'lan',
          address: `10.20.0.${number}/24`,
          mac: `0a:6e:00:00:00:${number.toString(16).padStart(2, '0')}`,
        },
      ],
      routes: [],
      sysctls: {},
    })),
  };
}
