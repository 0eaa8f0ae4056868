import type { Fault } from './fault.js';

export const ping = { from: 'client', to: 'server' };
export const byPing: Fault['check'] = ['ping', ping];
export const toWeb: Fault['check'] = ['port', { from: 'client', to: 'server', port: 80 }];
export const toWeb6: Fault['check'] = ['port', { from: 'client', to: 'fd02::20', port: 80 }];
export const byPing6: Fault['check'] = ['ping', { from: 'client', to: 'fd02::20' }];
