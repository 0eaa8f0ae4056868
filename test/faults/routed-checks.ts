import type { Fault } from './fault.js';

export const ping = { from: 'client', to: 'server' };
export const byPing: Fault['check'] = ['ping', ping];
export const toWeb: Fault['check'] = ['port', { from: 'client', to: 'server', port: 80 }];
export const toWeb6: Fault['check'] = ['port', { from: 'client', to: 'fd02::20', port: 80 }];
export const byPing6: Fault['check'] = ['ping', { from: 'client', to: 'fd02::20' }];
export const large: Fault['check'] = ['http', { from: 'client', url: 'http://10.2.0.20/large', wait: '2s' }];
/** Nobody listens on port 81 of the server, ever. */
export const closed: Fault['check'] = ['port', { from: 'client', to: 'server', port: 81 }];
