import { accessSync, constants } from 'node:fs';
import { outerIds } from '../../lab/outer-users.js';
import { mountAction } from './machine-calls.js';

/** A device that everybody may open. */
export interface DeviceNumbers {
  /** Below /dev. */
  path: string;
  major: number;
  minor: number;
}

/** Those that a host has; Documentation/admin-guide/devices.txt of the kernel. */
export const deviceNumbers: readonly DeviceNumbers[] = [
  { path: 'null', major: 1, minor: 3 },
  { path: 'zero', major: 1, minor: 5 },
  { path: 'full', major: 1, minor: 7 },
  { path: 'random', major: 1, minor: 8 },
  { path: 'urandom', major: 1, minor: 9 },
  { path: 'tty', major: 5, minor: 0 },
  { path: 'net/tun', major: 10, minor: 200 },
  { path: 'fuse', major: 10, minor: 229 },
];

/** The name of a device among others in one directory. */
export const nodeName = ({ path }: DeviceNumbers): string => path.split('/').at(-1)!;

function mayBeOpened({ path }: DeviceNumbers): boolean {
  try {
    accessSync(`/dev/${path}`, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Those of them that a host gets here: without root of the machine no device can be made, but those that users may open can be bound. */
export function devicesHere(all: readonly DeviceNumbers[] = deviceNumbers): DeviceNumbers[] {
  return outerIds() === null ? [...all] : all.filter(mayBeOpened);
}

/** Actions of `machine-calls.ts` that make the devices in one directory, by their names. */
export function deviceActions(devices: readonly DeviceNumbers[], directory: string): string[] {
  return devicesHere(devices).flatMap((device) => {
    const target = `${directory}/${nodeName(device)}`;
    return outerIds() === null
      ? ['node', '666', String(device.major), String(device.minor), target]
      : ['touch', target, ...mountAction('', `/dev/${device.path}`, target, 'bind')];
  });
}
